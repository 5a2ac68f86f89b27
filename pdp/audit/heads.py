"""Heads: how far the log has come, signed and kept in the store, so that a log that was cut is found.

A chain of digests shows every change inside it, but not that its end is missing. Every few seconds what is written is
brought to the disk, and where it ends is signed with a key of this data directory. A log that is shorter than its
signed head, or another at that place, is refused at start and by `pdp log verify`. What was written in the seconds
since the last head is not covered.
"""

import asyncio
import base64
import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..errors import Fault, Unrecorded
from ..keyfile import kept_key
from ..query import canonical
from ..recurring import Recurring
from ..store.heads import move_head, read_heads
from ..store.sql import Store, StoreUnavailable, reading, transaction
from ..times import Clock, rfc3339
from .entry import Head, digest_of
from .log import Log
from .read import Reader

LAST_KEPT_WITHIN_S = 3.0  # at a stop; the next start goes on from what was kept before
KEPT_EVERY_S = 5.0  # one sync and one row of the store; also how much of a cut may go unnoticed
TAG = "mcp-pdp/log-head/v1"

Row = dict[str, Any]


def log_key(data_dir: Path) -> Ed25519PrivateKey:
    """Return the key that signs the heads of this data directory, making it the first time. Raises `Fault`."""
    return Ed25519PrivateKey.from_private_bytes(kept_key(data_dir / "keys" / "log.key", "log key"))


def signed(head: Head, at: str, key: Ed25519PrivateKey) -> Row:
    """Return a head as the store keeps it; the signature (RFC 8032) is over its canonical JSON."""
    row = {"origin": head.origin, "entries": head.index, "digest": head.digest, "at": at, "key": name_of(key)}
    return {**row, "signature": base64.b64encode(key.sign(_payload(row))).decode()}


def heads_of(rows: Iterable[Row], key: Ed25519PrivateKey) -> dict[str, Head]:
    """Return the heads that this key signed, by the origin of their log. Raises `Fault` for a forged one."""
    mine = [row for row in rows if row["key"] == name_of(key)]
    return {row["origin"]: _checked(row, key.public_key()) for row in mine}


def name_of(key: Ed25519PrivateKey) -> str:
    """Return the public key, which is how the store tells the heads of several replicas apart."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def must_reach(directory: Path, entries: int, kept: Head) -> None:
    """Check that a log of `entries` has the entry that its kept head ends with. Raises `Fault`, or `OSError`."""
    if entries >= kept.index and (kept.index == 0 or _digest_at(directory, kept.index - 1) == kept.digest):
        return
    raise Fault(
        f"The log {directory} was cut or replaced: the store has a signed head of {kept.index} entries, and they are "
        f"not all here ({entries} are). Run `pdp log verify`, keep the directory as evidence, and move it aside to "
        "start a new log."
    )


class Heads:
    """Keeps the head of a log in the store, from `start` to `close`."""

    def __init__(self, log: Log, store: Store, now: Clock, key: Ed25519PrivateKey) -> None:
        self._log, self._store, self._now, self._key = log, store, now, key
        self._kept = 0
        self._keeping = Recurring(f"the head of {log.directory}", self._keep, KEPT_EVERY_S)

    async def start(self) -> None:
        """Check what was kept before, and go on keeping. Raises `Fault` when the log is not what it was."""
        async with reading(self._store) as connection:
            kept = heads_of(await read_heads(connection), self._key).get(self._log.origin)
        if kept is not None:
            await asyncio.to_thread(must_reach, self._log.directory, self._log.inherited, kept)
        self._keeping.start()

    async def close(self) -> None:
        """Keep the last head, as far as that is possible now."""
        await self._keeping.close()
        with contextlib.suppress(Unrecorded, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LAST_KEPT_WITHIN_S):
                await self._keep()

    async def _keep(self) -> None:
        if self._log.committed == self._kept:
            return
        head = await self._log.settled()
        async with transaction(self._store) as connection:
            await move_head(connection, signed(head, rfc3339(self._now()), self._key))
        self._kept = head.index


def _digest_at(directory: Path, index: int) -> str | None:
    line = next(Reader(directory, index).lines(), None)
    return None if line is None else digest_of(line)


def _checked(row: Row, public: Ed25519PublicKey) -> Head:
    try:
        public.verify(base64.b64decode(row["signature"]), _payload(row))
    except (InvalidSignature, ValueError):
        raise Fault(
            f"The head of the log {row['origin']} in the store is not as it was signed: keep the store as evidence."
        ) from None
    return Head(row["origin"], row["entries"], row["digest"])


def _payload(row: Mapping[str, Any]) -> bytes:
    return canonical({"tag": TAG, **{name: row[name] for name in ("origin", "entries", "digest", "at", "key")}})
