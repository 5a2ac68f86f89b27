"""Values that would stop the service that reads them: refused with a sentence, in no time."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pdp.document import MAX_DEPTH, read_document, read_yaml
from pdp.errors import Fault
from pdp.policy.problem import PackRefused
from pdp.policy.sources import Text
from pdp.policy.values import read_yaml as read_values_yaml

pytestmark = pytest.mark.promise("live.refused")
LAUGHS = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))]
)


@pytest.mark.parametrize(
    "deep", ["[" * 200_000 + "]" * 200_000, "{b: " * 200_000 + "}" * 200_000, "- " * 200_000 + "x"]
)
def test_a_file_of_brackets_is_refused_and_does_not_end_the_process(deep: str, tmp_path: Path) -> None:
    """In a process of its own: what it is about is one that is gone without a word."""
    (tmp_path / "deep.yaml").write_text(deep)
    script = "import sys; from pdp.document import read_document; read_document(open(sys.argv[1], 'rb').read(), 10**7)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "deep.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.returncode
    assert "pdp.errors.Fault: The file" in done.stderr


def test_aliases_that_stand_for_a_billion_values_are_refused_with_their_line() -> None:
    with pytest.raises(PackRefused, match=r"org/config\.yaml:6: .*its aliases, written out, are too much"):
        read_values_yaml(Text("org/config.yaml", LAUGHS))
    with pytest.raises(Fault, match="its aliases, written out"):
        read_document(LAUGHS.encode(), 10_000)


def test_aliases_upon_aliases_are_refused_where_they_lead_too_deep() -> None:
    chain = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000))])
    with pytest.raises(yaml.YAMLError, match=f"more than {MAX_DEPTH} deep"):
        read_yaml(chain)


def test_what_holds_itself_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="undefined alias"):
        read_yaml("a: &a [*a]")


def test_depth_is_counted_as_it_is_written() -> None:
    assert read_yaml("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    with pytest.raises(yaml.YAMLError, match="deep"):
        read_yaml("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_aliases_as_people_use_them_are_read() -> None:
    assert read_yaml("a: &labels [personal, secret]\nb: *labels\nc: &more {x: *labels}\nd: *more") == {
        "a": ["personal", "secret"],
        "b": ["personal", "secret"],
        "c": {"x": ["personal", "secret"]},
        "d": {"x": ["personal", "secret"]},
    }
