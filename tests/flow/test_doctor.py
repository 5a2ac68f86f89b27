"""`pdp doctor`: each check is shown a deployment in which just that thing is really broken, and says what to do."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.audit.read import shards
from pdp.audit.shard import segments
from pdp.cli.doctor import unsafe_in
from pdp.doctor import around, files, lines, log, machine, store
from pdp.doctor.finding import Finding
from pdp.engine.binary import OPA, Places, find
from pdp.identity.profiles import issuer_as
from pdp.settings import IssuerSettings, Settings
from pdp.store.condition import Condition, condition_of
from pdp.store.sql import StoreUnavailable
from pdp.times import rfc3339, system_clock
from pdp.tls import Files
from tests.conftest import START, FakeClock
from tests.pki import authority
from tests.service import running

from .test_serve import serving, until

pytestmark = pytest.mark.promise("cli.doctor")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory of a service that decided something and was stopped."""
    home = tmp_path_factory.mktemp("doctor") / "data"

    async def decided() -> None:
        async with running(home, FakeClock()) as bench:
            assert (await bench.ask())["decision"] == "allow"
            await bench.service.projected()

    asyncio.run(decided())
    (home / "jwks.json").unlink()  # the tests put it there
    home.chmod(0o700)
    return home


@pytest.fixture
def home(deployed: Path, tmp_path: Path) -> Path:
    """Return a copy to break."""
    return Path(shutil.copytree(deployed, tmp_path / "data"))


def condition(home: Path) -> Condition:
    """Return the condition of the store."""
    return asyncio.run(condition_of(Settings(data_dir=home).store_url))


def logs(home: Path, now: Any = START) -> list[Finding]:
    """Return what is said about the logs."""
    content = condition(home).content
    assert content
    return log.logs(home, content.heads, now)


def one(found: Sequence[Finding] | Finding, level: str, says: str, advice: str = "") -> None:
    """Check that just one finding is not well, what it says, and what it advises."""
    listed = [found] if isinstance(found, Finding) else list(found)
    (wrong,) = [finding for finding in listed if finding.level != "ok"]
    assert (wrong.level, says in wrong.says, advice in wrong.advice) == (level, True, True), wrong
    assert wrong.advice


def well(found: Sequence[Finding] | Finding) -> None:
    """Check that nothing is wrong."""
    listed = [found] if isinstance(found, Finding) else found
    assert listed
    assert [finding for finding in listed if finding.level != "ok" or finding.advice] == []


def test_a_deployment_that_is_well_is_told_so_and_left_as_it_was(home: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*") if not path.name.startswith("pdp.db"))
    seen = condition(home)
    assert seen.content
    for found in (
        files.data_directory(home, os.geteuid()),
        store.schema(seen),
        store.clock(seen.ahead_s),
        store.facts(seen.content, START),
        store.adapter_keys(seen.content.keys, START),
        logs(home),
    ):
        well(found)
    assert (seen.content.people, seen.content.approved_tools) > (0, 0)
    after = sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*") if not path.name.startswith("pdp.db"))
    assert after == before


def test_a_file_that_others_may_read_is_found_wherever_no_folder_keeps_them_out(home: Path) -> None:
    key = home / "keys" / "log.key"
    key.chmod(0o644)
    well(files.data_directory(home, os.geteuid()))  # nobody gets into its folder
    for folder in (home / "keys", home):
        folder.chmod(0o755)
    found = files.data_directory(home, os.geteuid())
    one(found, "fail", str(key), f"chmod -R go= {home}")


def test_a_data_directory_that_others_may_list_is_a_warning(home: Path) -> None:
    home.chmod(0o755)
    one(files.data_directory(home, os.geteuid()), "warn", "others may list", f"chmod 700 {home}")


def test_files_of_another_user_are_named(home: Path) -> None:
    one(files.data_directory(home, os.geteuid() + 1), "fail", "belong to another user", "chown")


def test_a_named_secret_that_others_may_read_or_that_is_gone_is_found(tmp_path: Path) -> None:
    secret = tmp_path / "webhook.secret"
    secret.touch(mode=0o600)
    well(files.secret_files([secret]))
    secret.chmod(0o640)
    one(files.secret_files([secret]), "fail", "others may read", "chmod 600")
    secret.unlink()
    one(files.secret_files([secret]), "fail", "No such file", "Correct the setting")


def test_a_missing_data_directory_and_store_are_warnings(tmp_path: Path) -> None:
    one(files.data_directory(tmp_path / "none", os.geteuid()), "warn", "does not exist", "PDP_DATA_DIR")
    with pytest.raises(StoreUnavailable, match="yet"):
        condition(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("room", "level", "advice"),
    [
        (machine.Room(machine.LEAST_FREE - 1, None), "fail", "larger disk"),
        (machine.Room(machine.ENOUGH_FREE - 1, 10**6), "warn", "larger disk"),
        (machine.Room(10**12, machine.LEAST_INODES - 1), "fail", "Remove small files"),
    ],
)
def test_a_disk_that_is_full_or_will_be_is_found(room: machine.Room, level: str, advice: str) -> None:
    one(machine.disk(room, "/var"), level, "free at /var", advice)
    well(machine.disk(machine.Room(10**12, 10**6), "/var"))


def test_a_clock_that_jumps_is_found_in_both_directions(home: Path) -> None:
    found: list[Finding] = []
    with machine.watching_the_clock(found):
        pass
    well(found)
    for jumped in (-60.0, 60.0):
        one(machine.steps(jumped), "fail", f"{jumped:+.1f} s", "chrony")
    one(logs(home, START - timedelta(hours=1)), "fail", "in the future", "set the clock back")


def test_a_database_clock_that_is_not_ours_is_found() -> None:
    well(store.clock(0.1))
    one(store.clock(-5.0), "warn", "5.0 s behind ours", "chrony")
    one(store.clock(31.0), "fail", "31.0 s ahead of ours", "chrony")


def test_a_log_whose_end_was_cut_is_found(home: Path) -> None:
    segment = segments(shards(home)[-1])[-1]
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-1]))
    one(logs(home), "fail", "was cut or replaced", "")


def test_a_log_that_was_changed_near_its_end_is_found(home: Path) -> None:
    segment = segments(shards(home)[-1])[-1]
    whole = segment.read_bytes().splitlines(keepends=True)
    whole[-2] = whole[-2].replace(b'"at":"2', b'"at":"1')
    segment.write_bytes(b"".join(whole))
    one(logs(home), "fail", "does not follow", "pdp log verify")


def test_a_log_that_is_gone_and_a_lost_log_key_are_found_and_no_key_is_made(home: Path) -> None:
    shutil.move(shards(home)[-1], home / "elsewhere")
    one(logs(home), "fail", "is gone", "Put it back")
    shutil.move(home / "elsewhere", home / "log" / "0")
    (home / "keys" / "log.key").unlink()
    one(logs(home), "fail", "log.key is gone", "Restore it from your backup")
    assert not (home / "keys" / "log.key").exists()


def test_a_store_without_tables_or_of_another_release_is_found_and_not_touched(home: Path) -> None:
    with sqlite3.connect(home / "pdp.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'm9999'")
    one(store.schema(condition(home)), "fail", "m9999", "Run the release that wrote it")
    (home / "pdp.db").unlink()
    sqlite3.connect(home / "pdp.db").close()
    (home / "pdp.db").touch()
    seen = condition(home)
    one(store.schema(seen), "warn", "it is empty", "pdp serve")
    assert (seen.content, condition(home).schema) == (None, None)
    one(
        store.schema(Condition("m1", "m2", known=True, ahead_s=None, content=None)),
        "warn",
        "older than m2",
        "Back it up",
    )


def test_nobody_registered_nothing_approved_and_a_feed_that_stands_still_are_found(home: Path) -> None:
    with sqlite3.connect(home / "pdp.db") as database:
        database.execute("UPDATE principals SET status = 'disabled' WHERE id != 'pdp.probe'")
    content = condition(home).content
    assert content
    one(store.facts(content, START), "warn", "nobody is registered", "pdp identity import")
    with sqlite3.connect(home / "pdp.db") as database:
        database.execute("UPDATE principals SET status = 'active'")
        database.execute("UPDATE tools SET status = 'revoked' WHERE server != 'pdp.probe'")
    content = condition(home).content
    assert content
    one(store.facts(content, START), "warn", "no tool is approved", "pdp registry")
    with sqlite3.connect(home / "pdp.db") as database:
        database.execute("UPDATE tools SET status = 'approved'")
    content = condition(home).content
    assert content
    one(store.facts(content, START + timedelta(days=31)), "warn", "nothing about people", "imports your directory")


def test_adapter_keys_that_end_soon_are_unsafe_or_missing_are_found(home: Path) -> None:
    def keys(change: str, *values: str) -> list[Finding]:
        with sqlite3.connect(home / "pdp.db") as database:
            database.execute(f"UPDATE pep_keys SET {change}", values)  # noqa: S608  # our own words
        content = condition(home).content
        assert content
        return store.adapter_keys(content.keys, START)

    one(keys("expires_at = ?", rfc3339(START + timedelta(days=3))), "warn", "ends 2026-01-08", "successor")
    forever = rfc3339(START + timedelta(days=99))
    one(keys("unsafe_assert_identity = 1, expires_at = ?", forever), "warn", "can be anybody", "Revoke it")
    one(keys("revoked_at = ?", rfc3339(START)), "warn", "no adapter has a key", "pdp keys create")


def test_a_certificate_that_ended_ends_soon_or_has_another_key_is_found(tmp_path: Path) -> None:
    signs = authority(tmp_path)
    good, soon, old = (signs.issue(f"for-{days}", days=days) for days in (60, 5, -1))
    now = system_clock()
    well(lines.certificate(Files(good.certificate, good.key), now))
    one(lines.certificate(Files(soon.certificate, soon.key), now), "warn", "lasts until", "Renew it")
    one(lines.certificate(Files(old.certificate, old.key), now), "fail", "expired", "Renew it")
    one(lines.certificate(Files(good.certificate, old.key), now), "fail", "belong together")
    good.key.chmod(0o644)
    one(lines.certificate(Files(good.certificate, good.key), now), "fail", "chmod 600")


def test_an_open_line_and_every_unsafe_setting_are_named() -> None:
    far = "192.0.2.1"
    well(lines.listener("127.0.0.1", tls=False, unsafe_plain_http=False))
    well(lines.listener("192.0.2.1", tls=True, unsafe_plain_http=False))
    one(lines.listener(far, tls=False, unsafe_plain_http=False), "fail", "without TLS", "PDP_TLS_CERTIFICATE")
    one(lines.listener(far, tls=False, unsafe_plain_http=True), "warn", "without TLS", "proxy")
    issuer = IssuerSettings(issuer="https://idp.example", unsafe_any_client=True)
    settings = Settings(unsafe_plain_http=True, unsafe_webhook_private_addresses=True, issuers=(issuer,))
    found = lines.unsafe(unsafe_in(settings))
    assert [one.says.partition(" is in force")[0] for one in found] == [
        "PDP_UNSAFE_PLAIN_HTTP",
        "PDP_UNSAFE_WEBHOOK_PRIVATE_ADDRESSES",
        "unsafe_any_client of https://idp.example",
    ]
    well(lines.unsafe(unsafe_in(Settings())))


def test_an_old_opa_and_a_sidecar_that_is_away_are_found(tmp_path: Path) -> None:
    old = tmp_path / "opa"
    old.write_text("#!/bin/sh\necho 'Version: 1.17.0'\n")
    old.chmod(0o700)
    one(around.opa(lambda: find(OPA, Places(old, tmp_path, {}))), "fail", "1.17.0")
    one(asyncio.run(around.sidecar(f"unix://{tmp_path}/opa.sock")), "fail", "does not answer", "Start it")


def test_an_issuer_whose_keys_cannot_be_had_is_found(tmp_path: Path) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text("{}")

    def said(**issuer: Any) -> list[Finding]:
        return asyncio.run(around.issuers([issuer_as(profile="rfc9068", **issuer)], system_clock))

    one(said(issuer="https://idp.example", jwks_file=jwks), "fail", "not a usable JWK set")
    one(said(issuer="http://127.0.0.1:9"), "fail", "could not be fetched", "network")
    one(asyncio.run(around.issuers([], system_clock)), "warn", "no token is accepted", "PDP_ISSUERS")


Done = subprocess.CompletedProcess[str]


def doctor(data_dir: Path, *before: str, **settings: str) -> tuple[Done, list[Finding]]:
    """Run `pdp doctor --json`, by a shell that ran `before` first."""
    command = " && ".join([*before, f"exec {sys.executable} -m pdp doctor --json"])
    environ = {**os.environ, "PDP_DATA_DIR": str(data_dir), **settings}
    done = subprocess.run(  # noqa: S602  # our own words
        command, shell=True, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done, [Finding(**found) for found in json.loads(done.stdout or "[]")]


def about(found: list[Finding], check: str) -> list[Finding]:
    """Return what one check found."""
    return [finding for finding in found if finding.check == check]


@pytest.fixture
def broken_rules(tmp_path: Path) -> Path:
    """Return an org folder with a guard that is not Rego."""
    (tmp_path / "org" / "guards").mkdir(parents=True)
    (tmp_path / "org" / "guards" / "mine.rego").write_text("package guards.mine\n\nholds if {\n")
    return tmp_path / "org"


def test_the_command_says_what_fails_and_exits_1(home: Path, broken_rules: Path) -> None:
    done, found = doctor(home, "ulimit -n 300", PDP_ORG_DIR=str(broken_rules), PDP_PORT="9")
    assert done.returncode == 1
    one(about(found, "policy"), "fail", "mine.rego")
    one(about(found, "limits"), "warn", "300 files", "ulimit -n")
    one(about(found, "service"), "warn", "none answers", "PDP_PUBLIC_URL")


@pytest.mark.slow
def test_the_command_sees_a_running_service_ready_and_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path, PDP_DECIDE_WITHIN_S="1") as (_, url):
        done, found = doctor(tmp_path, PDP_PORT=url.rpartition(":")[2])
        assert done.returncode == 0, done.stdout
        for check in ("service", "opa", "policy", "store", "log", "files", "disk", "clock", "listener"):
            well(about(found, check))
        (tmp_path / "pdp.db").unlink()
        until(lambda: httpx.get(f"{url}/readyz", timeout=20).status_code == 503, "the service to notice")
        done, found = doctor(tmp_path, PDP_PORT=url.rpartition(":")[2])
        assert done.returncode == 1
        one(about(found, "service"), "fail", "is not ready", "its own log")
        one(about(found, "store"), "warn", "There is no store", "PDP_DATABASE_URL")
