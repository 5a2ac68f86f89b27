"""Secrets are compared in constant time: a comparison that ends early tells how far a guess was right."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.promise("house.form")
ROOT = Path(__file__).parent.parent.parent
WORDS = {"secret", "password", "passphrase", "nonce", "thumbprint", "challenge", "signature", "mac", "ath", "bearer"}
WORDS |= {"token", "csrf", "verifier", "secret_digest"}


def named(node: ast.expr) -> str:
    """Return the name of what an expression stands for, as far as it has one."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(func=ast.Attribute(value=inner, attr="encode" | "strip")):
            return named(inner)
        case ast.Call(func=called):
            return named(called)
    return ""


def is_secret(node: ast.expr) -> bool:
    """Say whether an expression is called like a secret: `form_secret`, `claims["nonce"]`, `secret_digest(x)`."""
    name = named(node).lower()
    return name in WORDS or any(part in WORDS for part in name.split("_"))


def early(tree: ast.AST) -> Iterator[ast.Compare]:
    """Yield comparisons of a secret with something that is no constant, by a way that ends at the first difference."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            if any(map(is_secret, sides)) and not any(isinstance(side, ast.Constant) for side in sides):
                yield node


def test_no_secret_is_compared_by_equality() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in (ROOT / "pdp").rglob("*.py")
        for node in early(ast.parse(path.read_text()))
    ]
    assert not found, f"use hmac.compare_digest: {found}"


@pytest.mark.parametrize(
    "bad",
    [
        "given.form_secret == session.form_secret",
        "fields['nonce'] != nonce",
        "pep.secret_digest == secret_digest(secret)",
        "claims.get('ath', '') == expected",
        "shown.thumbprint.encode() != binding.thumbprint.encode()",
    ],
)
def test_the_check_sees_what_it_is_for(bad: str) -> None:
    assert list(early(ast.parse(bad)))
    assert not list(early(ast.parse(f"hmac.compare_digest({bad.replace(' == ', ', ').replace(' != ', ', ')})")))
