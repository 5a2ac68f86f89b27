"""The proofs of the last minutes and the call each was for (RFC 9449, section 11.1): bounded, in memory.

A proof is good for one call. An adapter that repeats exactly that call, because an answer got lost, is not refused:
the action is the same, so nothing is gained by it. Full means no: an old entry is never given up for a new one.

A clock that jumped forward made us forget proofs that are young again once it is set back. So what may be one of them
is refused: whatever was made no later than the latest that was forgotten. While clocks go on evenly that is nothing.
"""

import heapq
import math
from collections import Counter
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
    issued_at: float


class Replays:
    """Remembers which call each proof was used for."""

    def __init__(self, size: int = MAX_PROOFS, of_one_key: int = MAX_PROOFS_OF_ONE_KEY) -> None:
        self._size = size
        self._of_one_key = of_one_key
        self._used: dict[bytes, _Used] = {}
        self._until: list[tuple[float, bytes]] = []  # a heap: a clock set back must not keep old ones for long
        self._forgotten = -math.inf
        self._counts: Counter[str] = Counter()

    def use(self, proof: Proven, action: str, now: datetime) -> None:
        """Use a proof for the call with the digest `action`.

        Raises `Refused`: `identity.proof_replayed` when it was for another call, `identity.proof_time` when nobody can
        know by now, `identity.proofs_full` without room.
        """
        moment = now.timestamp()
        self._forget(moment)
        known = self._used.get(proof.id)
        if known is None:
            self._keep(proof, action, moment)
        elif known.action != action:
            raise Refused("identity.proof_replayed")

    def _keep(self, proof: Proven, action: str, moment: float) -> None:
        if proof.issued_at <= self._forgotten:
            raise Refused("identity.proof_time", "proofs of that time were forgotten already: our clock was set back")
        if len(self._used) >= self._size or self._counts[proof.thumbprint] >= self._of_one_key:
            raise Refused("identity.proofs_full", f"{len(self._used)} proofs in {KEPT_S} s")
        self._used[proof.id] = _Used(action, proof.thumbprint, proof.issued_at)
        heapq.heappush(self._until, (moment + KEPT_S, proof.id))
        self._counts[proof.thumbprint] += 1

    def _forget(self, moment: float) -> None:
        while self._until and self._until[0][0] < moment:
            used = self._used.pop(heapq.heappop(self._until)[1])
            self._forgotten = max(self._forgotten, used.issued_at)
            self._counts[used.thumbprint] -= 1
            if not self._counts[used.thumbprint]:
                del self._counts[used.thumbprint]
