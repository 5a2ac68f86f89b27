"""Prefixed identifiers that sort by time: `dec_` + UUIDv7 in hex (RFC 9562, section 5.7)."""

import secrets
from datetime import datetime

VERSION_7 = 0x7
VARIANT = 0b10


def new_id(prefix: str, now: datetime) -> str:
    """Return `<prefix>_` and 32 hex digits: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    random = secrets.randbits(74)
    value = milliseconds << 80 | VERSION_7 << 76 | (random >> 62) << 64 | VARIANT << 62 | random & ((1 << 62) - 1)
    return f"{prefix}_{value:032x}"
