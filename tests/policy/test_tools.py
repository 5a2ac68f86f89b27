"""The pack by the tools its authors use: formatted, tested in full, linted; and our lint rules have tests too."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.promise("policy.tools")
FOLDERS = ("pdp", "lib", "permits", "guards", "gates", "duties", "approvals")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it said."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_pack_is_formatted(opa: Path, source: Path) -> None:
    done = run(opa, "fmt", "--list", ".", cwd=source)
    assert (done.returncode, done.stdout) == (0, ""), "opa fmt --write rego"


def test_every_line_of_the_pack_is_tested(opa: Path, source: Path) -> None:
    flags = ("--capabilities", "capabilities.json", "--coverage", "--threshold", "100", "--format", "json")
    done = run(opa, "test", *flags, *FOLDERS, "config:config.yaml", cwd=source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["coverage"] == 100


def test_every_test_of_the_pack_passes(opa: Path, source: Path) -> None:
    done = run(opa, "test", "--capabilities", "capabilities.json", *FOLDERS, "config:config.yaml", cwd=source)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("PASS: ")


def test_every_rule_and_every_word_has_a_test_beside_it(source: Path) -> None:
    rules = [file for folder in FOLDERS for file in (source / folder).glob("*.rego") if not file.stem.endswith("_test")]
    assert not [file for file in rules if not file.with_name(f"{file.stem}_test.rego").is_file()]


def test_the_pack_is_clean_under_every_rule_of_regal_and_ours(regal: Path, source: Path) -> None:
    done = run(regal, "lint", "--format", "json", ".", cwd=source.resolve())
    report = json.loads(done.stdout)
    assert (done.returncode, report["violations"]) == (0, [])
    assert report["summary"]["files_scanned"] >= 40


def test_our_lint_rules_pass_their_own_tests(regal: Path, source: Path) -> None:
    done = run(regal, "test", ".regal/rules", cwd=source.resolve())
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("PASS: ")
