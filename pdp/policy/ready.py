"""The default pack as it was compiled when the wheel was made. With PDP_ENGINE=wasm it needs no OPA.

It answers for the very files it was made from. For any other pack, or with rules of an organisation's own, it is not
used: those have to be checked and compiled here.
"""

from pathlib import Path

from .bundle import read_bundle
from .pack import Pack, manifest_of, read_files, revision_of

READY = Path(__file__).parent.parent / "compiled" / "policy.tar.gz"  # made by `python -m pdp.dev.wheel`


def ready_made(source: Path, org: Path | None, bundle: Path = READY) -> Pack | None:
    """Return the compiled pack when it is that of the files in `source` and `org`, and None otherwise.

    Raises `PackRefused` when the files cannot be read, or `bundle` is damaged.
    """
    if not bundle.is_file():
        return None
    pack, (found, values) = read_bundle(bundle), read_files(source, org)
    wanted = revision_of(found.sources, manifest_of(pack.rules), values.config)
    return pack if pack.revision == wanted else None
