"""`pdp serve` with TLS settings as a process, with workers, and the commands that call it."""

import json
import os
from pathlib import Path

import pytest

from tests.commands import Done, run
from tests.conftest import ROOT
from tests.pki import authority

from .test_serve import serving

pytestmark = pytest.mark.promise("serve.tls")


def pdp(*arguments: str, **settings: str) -> Done:
    """Run `pdp` and return what came of it."""
    return run(*arguments, environ={**os.environ, **settings}, cwd=ROOT)


@pytest.mark.slow
def test_workers_serve_over_tls_and_commands_reach_them_with_the_right_files_only(tmp_path: Path) -> None:
    ours, data = authority(tmp_path / "pki"), tmp_path / "data"
    server, operator = ours.issue("server"), ours.issue("operator")
    key = tmp_path / "policy.key"
    made = pdp("keys", "create", "--server=*", "--scope=policy", f"--out={key}", PDP_DATA_DIR=str(data))
    assert made.returncode == 0, made.stderr
    tls = {
        "PDP_TLS_CERTIFICATE": str(server.certificate),
        "PDP_TLS_KEY": str(server.key),
        "PDP_TLS_CLIENT_CA": str(ours.ca),
    }
    shown = {"PDP_CLIENT_CERTIFICATE": str(operator.certificate), "PDP_CLIENT_KEY": str(operator.key)}
    with serving(data, "--workers", "2", **tls) as (_, url):
        assert url.startswith("https://127.0.0.1:")
        activate = ("policy", "activate", f"--key-file={key}", f"--url={url}", "--json")
        done = pdp(*activate, PDP_CA_FILE=str(ours.ca), **shown)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["revision"].startswith("sha256:")
        for settings, says in ((shown, "PDP_CA_FILE"), ({"PDP_CA_FILE": str(ours.ca)}, "PDP_CLIENT_CERTIFICATE")):
            wrong = pdp(*activate, **settings)
            assert (wrong.returncode, says in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False), wrong


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"PDP_HOST": "0.0.0.0"}, "PDP_UNSAFE_PLAIN_HTTP"),  # noqa: S104  # refused before it listens
        ({"PDP_TLS_CERTIFICATE": "/nowhere/server.pem"}, "set both"),
        ({"PDP_TLS_CERTIFICATE": "/nowhere/server.pem", "PDP_TLS_KEY": "/nowhere/server.key"}, "/nowhere/server.key"),
    ],
)
def test_what_would_be_served_in_the_clear_or_with_half_a_pair_does_not_start(
    settings: dict[str, str], says: str, tmp_path: Path
) -> None:
    done = pdp("serve", "--port", "0", PDP_DATA_DIR=str(tmp_path), **settings)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (1, True, False), done
