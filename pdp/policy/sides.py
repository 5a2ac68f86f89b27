"""The two sides of `pdp policy diff`: a folder, a bundle file, a revision of the archive, or a policy by its name."""

from dataclasses import dataclass
from pathlib import Path

from ..audit.entry import Entry
from ..audit.read import entries, last_lines, shards
from ..errors import Fault
from .archive import read_archive, write_archive
from .bundle import read_bundle
from .pack import Pack, build_pack, default_pack_dir
from .revisions import REVISION, bundle_of
from .sign import SIGNATURES

NAMES = ("active", "configured", "shipped")
LOOKED_AT = 20_000  # entries of each log in which the newest that names a policy is searched


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where policies are: the data directory, the folders or the bundle that the settings name.

    `target` is for what is built here.
    """

    opa: Path
    data_dir: Path
    policy_dir: Path | None
    org_dir: Path | None
    target: Path
    bundle: Path | None = None

    def pack(self, side: str) -> Pack:
        """Return the pack that `side` names. Raises `PackRefused` and `Fault` saying what to do.

        `shipped` is the pack of this release, `configured` what the settings name now, `active` what decides.
        """
        if side == "shipped":
            return build_pack(self.opa, default_pack_dir(), None, self.target)
        if side == "configured":
            return self._configured()
        if side == "active":
            return read_bundle(bundle_of(self.data_dir / "policy", newest_revision(self.data_dir)))
        path = Path(side)
        if path.is_dir():
            return self._folder(path)
        if path.is_file():
            return read_bundle(self._unsigned(path))
        if REVISION.fullmatch(side):
            return read_bundle(bundle_of(self.data_dir / "policy", side))
        known = ", ".join(NAMES)
        raise Fault(f"{side} is no policy: name a folder, a bundle file, a revision, or one of {known}.")

    @property
    def _policy(self) -> Path:
        return self.policy_dir or default_pack_dir()

    def _configured(self) -> Pack:
        if self.bundle is not None:
            return read_bundle(self._unsigned(self.bundle))
        return build_pack(self.opa, self._policy, self.org_dir, self.target)

    def _folder(self, folder: Path) -> Pack:
        """A folder with an entrypoint is a pack; any other is an organisation's own, put on the pack in use."""
        if (folder / "pdp" / "decision.rego").is_file():
            return build_pack(self.opa, folder, None, self.target)
        return build_pack(self.opa, self._policy, folder, self.target)

    def _unsigned(self, bundle: Path) -> Path:
        """OPA runs no signed bundle without its key; who signed it is not asked here, for nothing is put in force."""
        files = read_archive(bundle)
        copy = self.target / f"unsigned-{bundle.name}"
        copy.write_bytes(write_archive({name: body for name, body in files.items() if name != SIGNATURES}))
        return copy


def newest_revision(data_dir: Path) -> str:
    """Return the revision that the newest activation or decision in the logs names. Raises `Fault` without any."""
    lines = [line for directory in shards(data_dir) for line in last_lines(directory, LOOKED_AT)]
    named = [(entry.at_ms, revision) for entry in entries(lines) if (revision := _named_by(entry))]
    if not named:
        raise Fault(f"No log under {data_dir / 'log'} says which policy is active: check PDP_DATA_DIR.")
    return max(named)[1]


def _named_by(entry: Entry) -> str | None:
    if entry.kind == "policy.activated" and not entry.body.get("offered"):
        return str(entry.body["revision"])
    return entry.body["revisions"].get("policy") if entry.kind == "decision" else None
