"""Masking on values nobody thought of: no labelled value survives, nothing else changes, hostile calls stay cheap."""

import json
import stat
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.audit.mask import MAX_COPIED, MAX_SEARCHED, MIN_COPY, Masker, Spoken, without
from pdp.errors import Fault

SECRET = 's3cr3t-\u00e9-"quoted"'
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
names = st.text(max_size=8)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=12)
objects = st.dictionaries(names, values, max_size=5)


@pytest.fixture(scope="module")
def masker(tmp_path_factory: pytest.TempPathFactory) -> Masker:
    return Masker(tmp_path_factory.mktemp("mask") / "mask.key")


def planted(value: Any) -> Any:
    """Return the value with the secret in its keys and texts."""
    if isinstance(value, dict):
        return {name + SECRET: planted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [planted(item) for item in value]
    return value + SECRET if isinstance(value, str) else value


def text_of(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


@pytest.mark.promise("record.masked")
@given(arguments=objects, context=objects)
def test_a_labelled_value_survives_nowhere(masker: Masker, arguments: dict[str, Any], context: dict[str, Any]) -> None:
    spoken = Spoken(planted(arguments) | {"key": SECRET}, planted({"p": arguments}), planted(context))
    masked = masker.mask(spoken, {"/key": ["secret"]})
    assert json.dumps(SECRET, ensure_ascii=False)[1:-1] not in text_of(masked.spoken)
    assert "/arguments/key" in masked.pointers or "/arguments" in masked.pointers


@pytest.mark.promise("record.masked")
@given(arguments=objects, context=objects)
def test_without_sensitive_labels_nothing_changes(
    masker: Masker, arguments: dict[str, Any], context: dict[str, Any]
) -> None:
    spoken = Spoken(arguments, {}, context)
    masked = masker.mask(spoken, {"/amount": ["money"], "/path": ["path"]})
    assert masked.spoken == spoken
    assert masked.pointers == []


@pytest.mark.promise("record.masked")
@given(arguments=st.dictionaries(st.text(max_size=MIN_COPY - 1), values, max_size=5))
def test_without_any_labels_every_value_goes_and_every_name_stays(masker: Masker, arguments: dict[str, Any]) -> None:
    masked = masker.mask(Spoken(arguments, {}, {}), None)
    kept = masked.spoken.arguments
    assert kept == {name: masker.commit(value) for name, value in arguments.items()}


@pytest.mark.promise("record.masked")
def test_a_name_that_repeats_a_masked_value_is_masked_too(masker: Masker) -> None:
    masked = masker.mask(Spoken({"4111111111111111": "4111111111111111"}, {}, {}), None)
    assert masked.spoken.arguments == {"[masked]": masker.commit("4111111111111111")}


@pytest.mark.promise("record.masked")
@pytest.mark.parametrize(
    "arguments",
    [
        {"card": {"number": "4111111111111111"}},
        {"card": "4111111111111111"},
        {"card": ["4111111111111111"]},
        {"card": {"number": {"deep": ["4111111111111111"]}}},
        {"card": 4111111111111111},
    ],
)
def test_a_label_holds_whatever_shape_the_value_takes(masker: Masker, arguments: dict[str, Any]) -> None:
    for pointer in ("/card/number", "/card/number/deep", "/card", ""):
        masked = masker.mask(Spoken(arguments, {"/card/number": "4111111111111111"}, {}), {pointer: ["payment"]})
        assert "4111111111111111" not in text_of(masked.spoken), pointer


@pytest.mark.promise("record.masked")
@pytest.mark.parametrize(
    ("pointer", "arguments"),
    [("/a~1b", {"a/b": SECRET}), ("/a~0b", {"a~b": SECRET}), ("/l/1", {"l": [0, SECRET]}), ("/~01", {"~1": SECRET})],
)
def test_pointers_are_read_as_rfc_6901_says(masker: Masker, pointer: str, arguments: dict[str, Any]) -> None:
    masked = masker.mask(Spoken(arguments, {}, {}), {pointer: ["secret"]})
    assert json.dumps(SECRET)[1:-1] not in json.dumps(masked.spoken.arguments)


@pytest.mark.promise("record.masked")
def test_a_copy_dressed_up_as_a_masked_value_is_found(masker: Masker) -> None:
    context = {"x": {"$masked": "4111111111111111"}, "n": 4111111111111111}
    masked = masker.mask(Spoken({"card": "4111111111111111"}, {}, context), {"/card": ["payment"]})
    assert "4111111111111111" not in text_of(masked.spoken)


@pytest.mark.promise("record.masked")
def test_a_commitment_is_never_damaged_by_a_short_secret(masker: Masker) -> None:
    for number in range(1000, 1300):
        arguments = {"pin": str(number), "card": "4111111111111111"}
        masked = masker.mask(Spoken(arguments, {}, {"n": f"pin {number}"}), {"/pin": ["secret"], "/card": ["payment"]})
        assert masked.spoken.arguments == {name: masker.commit(value) for name, value in arguments.items()}
        assert masked.spoken.context == {"n": "pin [masked]"}


@pytest.mark.promise("record.masked")
@pytest.mark.parametrize("count", [MAX_COPIED + 1, MAX_SEARCHED + 1, 20_000])
def test_a_call_with_more_secrets_than_can_be_searched_for_is_masked_whole_and_cheaply(
    masker: Masker, count: int
) -> None:
    secrets = [f"secret{number}" for number in range(count)]
    spoken = Spoken({"all": secrets, "other": "x"}, {"/other": 1}, {"copies": secrets, "noise": ["abcdefg"] * 20_000})
    began = time.thread_time()
    masked = masker.mask(spoken, {"/all": ["secret"]})
    assert time.thread_time() - began < 0.5
    assert masked.pointers == ["/arguments", "/context", "/parsed"]
    assert "secret1" not in text_of(masked.spoken)
    assert masked.spoken.context == masker.commit(spoken.context)


@pytest.mark.promise("record.credentials")
@given(value=values)
def test_a_credential_is_cut_out_of_any_value(value: Any) -> None:
    assert SECRET not in json.dumps(without(planted(value), SECRET), ensure_ascii=False)


@pytest.mark.promise("record.key")
def test_the_key_is_private_and_the_same_for_all_workers(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "mask.key"
    commitments = {Masker(path).commit("x")["$masked"] for _ in range(5)}
    assert len(commitments) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [kept.name for kept in path.parent.iterdir()] == ["mask.key"]


@pytest.mark.promise("record.key")
def test_a_key_that_others_can_read_or_that_is_damaged_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "mask.key"
    Masker(path)
    path.chmod(0o640)
    with pytest.raises(Fault, match="chmod 600"):
        Masker(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(Fault, match="not 32 bytes"):
        Masker(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="cannot be used"):
        Masker(tmp_path / "file" / "mask.key")
