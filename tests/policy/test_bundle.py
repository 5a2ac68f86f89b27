"""A bundle read back: it is the pack that was built, or it is refused whole, with a sentence."""

import dataclasses
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdp.policy.archive import MAX_CONTENT_BYTES, MAX_FILES, read_archive, write_archive
from pdp.policy.bundle import read_bundle
from pdp.policy.pack import Pack, PackRefused, build_pack
from tests.policy.rules import org, write
from tests.policy.signing import Files, saved

pytestmark = pytest.mark.promise("policy.bundle")
TABLE = (
    "tools: {a/b: {risk_class: read}}\npeople: {ann: {}}\ncases: [{case: x, tool: a/b, person: ann, expect: deny}]\n"
)


@pytest.fixture
def files(pack: Pack) -> Files:
    """Return the files of the default bundle, for a test to change."""
    return read_archive(pack.bundle)


def tarred(folder: Path, *members: tarfile.TarInfo, end: bytes = b"") -> Path:
    """Write an archive of odd members, each of nothing but zeros."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size) if member.isreg() else None)
    archive = folder / "odd.tar.gz"
    archive.write_bytes(gzip.compress(written.getvalue() + end))
    return archive


def member(name: str, **changes: Any) -> tarfile.TarInfo:
    """Return a member of an archive."""
    made = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def changed(files: Files, change: Callable[[dict[str, Any]], object], name: str = "data.json") -> Files:
    """Return the files with one of the JSON documents changed."""
    document = json.loads(files[name])
    change(document)
    return files | {name: json.dumps(document).encode()}


def test_what_was_built_is_what_is_read(pack: Pack) -> None:
    assert read_bundle(pack.bundle) == pack
    assert len(pack.tables) >= 3


def test_an_organisations_rules_values_and_tables_travel_too(
    build: Callable[[Path], Pack], pack: Pack, tmp_path: Path
) -> None:
    folder = org(tmp_path, "guards", "holds if input.tool.name")
    built = build(write(folder, {"cases/mine.yaml": TABLE, "config.yaml": "guards: {mine: {limit: 3}}"}))
    read = read_bundle(built.bundle)
    assert read == built
    assert read.rules["guards.mine"].file == "org/guards/mine.rego"
    assert read.rules["guards.mine"].good == ({"tool": {"name": "x"}},)
    assert read.config["guards"]["mine"] == {"limit": 3}
    assert read.tables.keys() - pack.tables.keys() == {"org/cases/mine.yaml"}


def test_another_table_is_no_other_policy(opa: Path, copied: Path, pack: Pack, tmp_path: Path) -> None:
    write(copied, {"cases/another.yaml": TABLE})
    built = build_pack(opa, copied, None, tmp_path / "built")
    assert built.revision == pack.revision
    assert built.tables.keys() - pack.tables.keys() == {"cases/another.yaml"}
    assert dataclasses.replace(built, tables=pack.tables, bundle=pack.bundle) == pack


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("cases/mine.yaml", "cases: []", "missing required field `tools`"),
        ("cases/mine.yml", TABLE, "Only decision tables"),
        ("cases/sub/mine.yaml", TABLE, "Only decision tables"),
    ],
)
def test_a_table_that_cannot_be_read_refuses_the_pack(
    name: str, text: str, says: str, build: Callable[[Path], Pack], tmp_path: Path
) -> None:
    with pytest.raises(PackRefused, match=says) as refused:
        build(write(tmp_path / "org", {name: text}))
    assert refused.value.problems[0].file.startswith("org/cases/")


def test_an_archive_of_the_same_files_is_the_same_bytes(files: Files, tmp_path: Path) -> None:
    archive = saved(tmp_path / "changed.tar.gz", files)
    assert read_archive(archive) == files
    assert archive.read_bytes() == write_archive(dict(reversed(files.items())))


def test_a_rule_that_was_edited_is_refused(files: Files, tmp_path: Path) -> None:
    name = "guards/risk_ceiling.rego"
    edited = files | {name: files[name].replace(b"holds if", b"holds if true #")}
    with pytest.raises(PackRefused, match="not the digest of what is in it"):
        read_bundle(saved(tmp_path / "changed.tar.gz", edited))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data["config"]["gates"]["amount"].update(open_up_to=10**9), "not the digest"),
        (lambda data: data["manifest"]["guards"].remove("risk_ceiling"), "not that of the rules"),
        (lambda data: data["manifest"]["caller"]["guards"].append("amount"), "not that of the rules"),
        (lambda data: data["manifest"]["rules"].pop("guards.risk_ceiling"), "does not list guards.risk_ceiling"),
        (lambda data: data["manifest"]["rules"]["guards.risk_ceiling"].update(owner="nobody"), "not the digest"),
        (lambda data: data["manifest"]["rules"]["guards.risk_ceiling"].update(file="org/../x"), "says that"),
        (lambda data: data["manifest"]["rules"]["guards.risk_ceiling"].pop("title"), "cannot be read"),
        (lambda data: data["manifest"].update(revision="sha256:0"), "not that of the rules"),
        (lambda data: data.update(guards={"ghost": {"holds": True}}), "cannot be read"),
        (lambda data: data.pop("cases"), "cannot be read"),
        (lambda data: data["config"].pop("risk"), "not the digest"),
        (lambda data: data["cases"].update({"cases/x.yaml": "tools: {}"}), "missing required field `cases`"),
    ],
)
def test_data_that_was_edited_is_refused(
    change: Callable[[dict[str, Any]], object], says: str, files: Files, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused, match=says):
        read_bundle(saved(tmp_path / "changed.tar.gz", changed(files, change)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda head: head.update(revision="sha256:0"), "not that of the rules"),
        (lambda head: head["roots"].remove("guards"), "roots"),
        (lambda head: head.update(rego_version=0), "cannot be read"),
        (lambda head: head.update(wasm=[]), "cannot be read"),
    ],
)
def test_a_head_that_was_edited_is_refused(
    change: Callable[[dict[str, Any]], object], says: str, files: Files, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused, match=says):
        read_bundle(saved(tmp_path / "changed.tar.gz", changed(files, change, ".manifest")))


@pytest.mark.parametrize("name", [".manifest", "data.json", "pdp/decision.rego"])
def test_a_bundle_that_lacks_a_part_is_refused(name: str, files: Files, tmp_path: Path) -> None:
    del files[name]
    with pytest.raises(PackRefused, match="missing"):
        read_bundle(saved(tmp_path / "changed.tar.gz", files))


@pytest.mark.parametrize(
    "name",
    [
        *("other.wasm", "guards/data.json", "guards/data.yaml", "guards/x.txt", "guards/sub/x.rego", "x.rego"),
        *("../x.rego", "guards/../../x.rego", "other/x.rego", "guards/X.rego", "patch.json", "guards/.rego"),
    ],
)
def test_a_file_that_no_bundle_has_is_refused_by_its_name(name: str, files: Files, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match="is not a file of a policy bundle") as refused:
        read_bundle(saved(tmp_path / "changed.tar.gz", files | {name: b"{}"}))
    assert repr(name) in str(refused.value)


def test_a_rule_nobody_lists_or_of_another_package_is_refused(files: Files, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"does not list guards\.ghost"):
        read_bundle(saved(tmp_path / "changed.tar.gz", files | {"guards/ghost.rego": b"package guards.ghost\n"}))
    with pytest.raises(PackRefused, match="its package are not the same"):
        read_bundle(
            saved(
                tmp_path / "changed.tar.gz", files | {"lib/ghost.rego": b"package guards.risk_ceiling\nholds := true\n"}
            )
        )


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "not a plain file"),
        ([member("a"), member("b", type=tarfile.LNKTYPE, linkname="a")], "not a plain file"),
        ([member("a", type=tarfile.DIRTYPE)], "not a plain file"),
        ([member("a", type=tarfile.FIFOTYPE)], "not a plain file"),
        ([member("data.json"), member("/data.json")], "data.json stands in it twice"),
        ([member("a", size=MAX_CONTENT_BYTES)], "unpacks to more than"),
        ([member(f"a{number}") for number in range(MAX_FILES + 1)], "holds more than"),
        ([member("a", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "100"})], "not a plain file"),
    ],
)
def test_an_archive_with_anything_but_plain_files_is_refused(
    members: list[tarfile.TarInfo], says: str, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused, match=says):
        read_bundle(tarred(tmp_path, *members))


@given(
    block=st.integers(0, 30),
    field=st.sampled_from([(0, 100), (100, 8), (124, 12), (136, 12), (148, 8), (156, 1), (157, 100), (345, 155)]),
    value=st.one_of(st.binary(max_size=155), st.sampled_from([b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777"])),
    summed=st.booleans(),
)
@example(block=0, field=(124, 12), value=b"\x80" + b"\xff" * 11, summed=True)  # a size that is no size_t
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_header_says_is_read_or_refused(
    *, block: int, field: tuple[int, int], value: bytes, summed: bool, pack: Pack, tmp_path: Path
) -> None:
    content = bytearray(gzip.decompress(pack.bundle.read_bytes()))
    start, (offset, size) = block * 512, field
    content[start + offset : start + offset + size] = value[:size].ljust(size, b"\0")
    header = content[start : start + 512]
    if summed:  # as somebody would who wants it to be read
        content[start + 148 : start + 156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)
    archive = tmp_path / "odd.tar.gz"
    archive.write_bytes(gzip.compress(content, 1))
    try:
        files = read_archive(archive)
    except PackRefused as refused:
        assert str(archive) in str(refused)  # noqa: PT017  # both outcomes are good, a crash is not
    else:
        assert len(files) <= len(read_archive(pack.bundle))


def cut(content: bytes, place: int) -> bytes:
    return content[:place]


def junk(content: bytes, place: int) -> bytes:
    return content[:place] + b"J" * 512 + content[place + 512 :]


def flipped(content: bytes, place: int) -> bytes:
    return content[: place + 10] + bytes([content[place + 10] ^ 1]) + content[place + 11 :]


def zeros(content: bytes, place: int) -> bytes:
    return content[:place] + b"\0" * 1024 + content[place + 1024 :]


def more(content: bytes, _: int) -> bytes:
    return content + content


@pytest.mark.parametrize("damage", [cut, junk, flipped, zeros, more])
def test_a_damaged_header_does_not_end_an_archive_early(
    damage: Callable[[bytes, int], bytes], pack: Pack, tmp_path: Path
) -> None:
    """Or a reader would miss the guards behind it, and another reader would not."""
    content = gzip.decompress(pack.bundle.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        place = tar.getmembers()[7].offset
    archive = tmp_path / "odd.tar.gz"
    archive.write_bytes(gzip.compress(damage(content, place)))
    with pytest.raises(PackRefused, match="what follows its last file is not its end"):
        read_archive(archive)


def test_an_archive_in_two_pieces_is_refused(pack: Pack, tmp_path: Path) -> None:
    whole = pack.bundle.read_bytes()
    content = gzip.decompress(whole)
    archive = tmp_path / "odd.tar.gz"
    for pieces in (gzip.compress(content[:2048]) + gzip.compress(content[2048:]), whole + whole, whole + b"\0" * 512):
        archive.write_bytes(pieces)
        with pytest.raises(PackRefused, match="or more than one"):
            read_archive(archive)


def test_headers_upon_headers_are_refused_and_do_not_run_out_of_stack(tmp_path: Path) -> None:
    long_name = member("././@LongLink", type=tarfile.GNUTYPE_LONGNAME, size=5).tobuf() + b"name\0".ljust(512, b"\0")
    archive = tmp_path / "odd.tar.gz"
    archive.write_bytes(gzip.compress(long_name * 5000))
    with pytest.raises(PackRefused, match="It is damaged"):
        read_archive(archive)


def test_what_is_not_a_whole_archive_is_refused(pack: Pack, tmp_path: Path) -> None:
    whole = pack.bundle.read_bytes()
    broken = tmp_path / "broken.tar.gz"
    for content in (
        b"",
        b"text",
        whole[: len(whole) // 2],
        whole[:-4],
        whole + b"more",
        whole[:50] + b"\0" + whole[51:],
    ):
        broken.write_bytes(content)
        with pytest.raises(PackRefused, match=r"not a whole gzip|damaged"):
            read_bundle(broken)
    with pytest.raises(PackRefused, match="No such file"):
        read_bundle(tmp_path / "none.tar.gz")
    broken.write_bytes(gzip.compress(b"text" * 1000))
    with pytest.raises(PackRefused, match="damaged"):
        read_bundle(broken)
    broken.write_bytes(b"\0" * (8 * 1024 * 1024 + 1))
    with pytest.raises(PackRefused, match="more than 8388608 bytes"):
        read_bundle(broken)
