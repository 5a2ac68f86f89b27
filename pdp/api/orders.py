"""Orders: what an operator or a source asks to be done to the store, and the problems it can end in."""

import logging
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from ..errors import Fault, Rejected, Unrecorded
from ..store.sql import StoreUnavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")


async def carried_out(work: Awaitable[T], problems: Mapping[type[Fault], Rejected]) -> T:
    """Return what `work` does, or raise the first of `problems` whose kind its `Fault` is of; none of them echoes it.

    Raises `Unrecorded` as it is, and `Rejected` 503 when the store cannot be reached. Details go to our log.
    """
    try:
        return await work
    except Unrecorded:
        raise
    except StoreUnavailable:
        raise Rejected(503, "store.unavailable", "The store cannot be reached now.") from None
    except Fault as fault:
        logger.warning("an order was refused: %a", str(fault))  # it quotes the body: no line of a stranger's in our log
        raise next(problem for kind, problem in problems.items() if isinstance(fault, kind)) from None
