"""No way back by an old signature: a signed policy that is older than the newest ever in force is refused.

Old policies keep their good signatures, so whoever can put a file in place could bring back the one without the guard
that stopped them. What was newest stands in the store: replicas share it, and a restart does not forget.
"""

from typing import Any

from ..store.policy import read_newest, write_newest
from ..store.sql import Store, transaction
from .problem import PackRefused, Problem
from .sign import Signed

AGAIN = "To go back to it on purpose, sign it again: `pdp policy build --sign`."


async def admit(store: Store, revision: str, signed: Signed | None) -> None:
    """Remember a policy that has passed every check as the newest. An unsigned one has no age.

    Raises `PackRefused` when it is older than what was ever in force or, signed at the same time, another; and
    `StoreUnavailable` when that cannot be known.
    """
    if signed is None:
        return
    new = {"revision": revision, "issued_at": signed.issued_at, "content": signed.content, "key_id": signed.key_id}
    async with transaction(store) as connection:
        known = await read_newest(connection)
        _must_not_be_older(new, known)
        if known is None or known["issued_at"] < signed.issued_at:
            await write_newest(connection, new)


def _must_not_be_older(new: dict[str, Any], known: dict[str, Any] | None) -> None:
    if known is None or new["issued_at"] > known["issued_at"]:
        return
    newest = f"{known['revision']}, signed {known['issued_at']} by {known['key_id']}, was in force already"
    if new["issued_at"] < known["issued_at"]:
        what = f"It was signed {new['issued_at']} by {new['key_id']}, and a newer one ({newest})."
        raise PackRefused([Problem(new["revision"], 0, what, AGAIN)])
    if new["content"] != known["content"]:
        what = f"It was signed {new['issued_at']} by {new['key_id']}, as was another one ({newest})."
        raise PackRefused([Problem(new["revision"], 0, what, "Sign it again, a second later or more.")])
