"""The pages about the policy say what the rules say, all of them, and stay behind none."""

import json
import re
from pathlib import Path

import pytest

from pdp.dev.reference import POLICY, shipped
from pdp.policy.handbook import Material, material
from pdp.policy.pages import INDEX, WORDS, pages, section_of, stale, write_pages
from tests.flow.test_operator_commands import pdp
from tests.policy.rules import rule, write

LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")


@pytest.fixture(scope="module")
def known() -> Material:
    """Return what the pages of the shipped pack are made of."""
    return shipped()


@pytest.mark.promise("house.docs")
def test_the_pages_in_docs_policy_are_those_of_the_pack(known: Material) -> None:
    for name, text in pages(known).items():
        assert (POLICY / name).read_text() == text, f"docs/policy/{name}: run make docs"
    assert stale(known, POLICY) == [], "run make docs"


@pytest.mark.promise("policy.pages")
def test_every_rule_has_a_page_with_all_its_words(known: Material) -> None:
    written = pages(known)
    assert len(written) == len(known.pack.rules) + 2
    for code, found in known.pack.rules.items():
        page = written[f"{found.folder}/{found.name}.md"]
        for said in (code, found.title, found.description, found.remedy, found.owner, found.severity, found.file):
            assert said in page, (code, said)
        assert found.text[found.text.index("package ") :].rstrip() in page
        assert f"[`{code}`]({found.folder}/{found.name}.md)" in written[INDEX]
        for example in ("It says yes to", "It does not say yes to"):
            assert f"## {example}" in page


@pytest.mark.promise("policy.pages")
def test_every_link_leads_to_a_page_and_a_heading(known: Material) -> None:
    written = pages(known)
    followed = 0
    for name, text in written.items():
        for target, anchor in LINK.findall(text):
            page = (Path("/") / name).parent / target
            path = str(page.resolve().relative_to("/"))
            assert path in written, (name, target)
            headings = [
                f"#{line[3:].replace('.', '')}" for line in written[path].splitlines() if line.startswith("## ")
            ]
            assert not anchor or anchor in headings, (name, anchor)
            followed += 1
    assert followed > 30


@pytest.mark.promise("policy.pages")
def test_every_word_of_lib_is_listed_as_it_is_called(known: Material) -> None:
    words = pages(known)[WORDS]
    for called in ("number.at_most(value, limit)", "text.one_of(", 'entitlement.met("le" ..., value, limit)'):
        assert f"`{called}" in words, called
    for file in known.lib:
        assert file.description
        assert file.words, file.code
        assert all(word.description for word in file.words)


@pytest.mark.promise("policy.pages")
def test_the_values_of_a_rule_stand_on_its_page_as_they_are_written(known: Material) -> None:
    page = pages(known)["gates/amount.md"]
    assert (
        "```yaml\n# Above this amount, in any argument that carries the label, an approval is asked for.\namount:"
        in page
    )
    assert "  open_up_to: 5000\n```" in page
    assert "* `config.gates.amount.open_up_to`" in page
    assert "a large amount needs a human" in page
    assert "## Its values" not in pages(known)["guards/token_scope.md"]
    by_class = "* `config.guards.risk_ceiling[input.tool.risk_class]`"
    assert by_class in pages(known)["guards/risk_ceiling.md"]


CONFIG = """# about all
guards:
  # about one
  one: {a: 1}

  # about two,
  # in two lines
  two:
    # inside
    b: 2  # beside

    c: 3
  three: 3
gates:
  # another two
  two: 5
"""


@pytest.mark.promise("policy.pages")
@pytest.mark.parametrize(
    ("folder", "name", "lines"),
    [
        ("guards", "one", ["# about one", "one: {a: 1}"]),
        ("guards", "two", ["# about two,", "# in two lines", "two:", "  # inside", "  b: 2  # beside", "", "  c: 3"]),
        ("guards", "three", ["three: 3"]),
        ("gates", "two", ["# another two", "two: 5"]),
        ("gates", "one", []),
        ("duties", "two", []),
    ],
)
def test_the_section_of_a_rule_is_cut_out_with_its_comments(folder: str, name: str, lines: list[str]) -> None:
    assert section_of(CONFIG, folder, name) == lines


@pytest.mark.promise("policy.pages")
def test_the_rules_of_an_organisation_have_pages_too_and_old_pages_go(opa: Path, source: Path, tmp_path: Path) -> None:
    org = write(
        tmp_path / "org",
        {
            "config.yaml": "# Ours.\ngates:\n  # Less than usual.\n  amount: {open_up_to: 100}\n",
            "guards/mine.rego": rule("guards", "mine", 'holds if input.tool.name == "a|b"'),
        },
    )
    out = tmp_path / "out"
    first = material(opa, source, org)
    write_pages(first, out)
    page = (out / "guards" / "mine.md").read_text()
    assert "`org/guards/mine.rego`" in page
    amount = (out / "gates" / "amount.md").read_text()
    assert "`org/config.yaml`:\n\n```yaml\n# Less than usual.\namount: {open_up_to: 100}\n```" in amount
    (out / "guards" / "notes.md").write_text("# Mine\nThis was written by hand.\n")
    (org / "guards" / "mine.rego").unlink()
    write_pages(material(opa, source, org), out)
    assert not (out / "guards" / "mine.md").exists()
    assert (out / "guards" / "notes.md").exists()


@pytest.mark.promise("policy.pages")
def test_the_command_writes_them(tmp_path: Path) -> None:
    done = pdp(tmp_path, "policy", "docs", "--out", "pages", "--json")
    assert done.returncode == 0, done.stderr
    written = [tmp_path / page for page in json.loads(done.stdout)]
    assert tmp_path / "pages" / INDEX in written
    assert all(page.is_file() for page in written)
