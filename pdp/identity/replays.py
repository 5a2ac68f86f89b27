"""The proofs of the last minutes and the call each was for (RFC 9449, section 11.1): bounded, in memory.

A proof is good for one call. An adapter that repeats exactly that call, because an answer got lost, is not refused:
the action is the same, so nothing is gained by it. Full means no: an old entry is never given up for a new one.
"""

from collections import Counter, OrderedDict
from datetime import datetime

from msgspec import Struct

from ..errors import Refused
from .dpop import MAX_AGE_S, Proven
from .issuers import MAX_LEEWAY_S

KEPT_S = MAX_AGE_S + MAX_LEEWAY_S  # after that its time alone refuses a proof
MAX_PROOFS = 200_000  # over 2000 calls a second for `KEPT_S`; 92 MB when full
MAX_PROOFS_OF_ONE_KEY = 20_000  # so that one caller does not take the room of all


class _Used(Struct, frozen=True):
    action: str
    thumbprint: str
    until: float


class Replays:
    """Remembers which call each proof was used for."""

    def __init__(self, size: int = MAX_PROOFS, of_one_key: int = MAX_PROOFS_OF_ONE_KEY) -> None:
        self._size = size
        self._of_one_key = of_one_key
        self._used: OrderedDict[bytes, _Used] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def use(self, proof: Proven, action: str, now: datetime) -> None:
        """Use a proof for the call with the digest `action`.

        Raises `Refused` `identity.proof_replayed` when it was for another call, `identity.proofs_full` without room.
        """
        moment = now.timestamp()
        self._forget(moment)
        known = self._used.get(proof.id)
        if known is None:
            self._keep(proof, action, moment)
        elif known.action != action:
            raise Refused("identity.proof_replayed")

    def _keep(self, proof: Proven, action: str, moment: float) -> None:
        if len(self._used) >= self._size or self._counts[proof.thumbprint] >= self._of_one_key:
            raise Refused("identity.proofs_full", f"{len(self._used)} proofs in {KEPT_S} s")
        self._used[proof.id] = _Used(action=action, thumbprint=proof.thumbprint, until=moment + KEPT_S)
        self._counts[proof.thumbprint] += 1

    def _forget(self, moment: float) -> None:
        while self._used:
            oldest = next(iter(self._used))
            if self._used[oldest].until >= moment:
                return
            thumbprint = self._used.pop(oldest).thumbprint
            self._counts[thumbprint] -= 1
            if not self._counts[thumbprint]:
                del self._counts[thumbprint]
