"""The two engines for policy tests, asked synchronously: a real OPA on a unix socket, and the compiled policy."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pdp.engine.abi import Aborted, Instance, Program
from pdp.policy.archive import MODULE, read_archive, write_archive

READY_WITHIN = 20.0  # seconds, on a loaded machine


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("opa")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class Asked:
    """Asks a running OPA. `UNDEFINED` when there is no result, `ERROR` when it is not a 200."""

    UNDEFINED = "(undefined)"
    ERROR = "(error)"

    def __init__(self, path: Path) -> None:
        self.socket = path
        self._connection = _Connection(path)

    def __call__(self, entrypoint: str, document: Any) -> Any:
        body = json.dumps({"input": document})
        self._connection.request("POST", f"/v1/data/{entrypoint}", body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        return answer.get("result", self.UNDEFINED) if response.status == http.HTTPStatus.OK else self.ERROR

    def verdict(self, document: Any) -> Any:
        """Return the verdict on one input."""
        return self("pdp/decision/verdict", document)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class InProcess(Asked):
    """Asks a compiled policy, in this process."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._instance = Instance(program)

    def __call__(self, entrypoint: str, document: Any) -> Any:
        try:
            answer = self._instance.evaluate(self._program.entrypoints[entrypoint], json.dumps(document).encode())
        except Aborted:
            self._instance = Instance(self._program)
            return self.ERROR
        results = json.loads(answer)
        return results[0]["result"] if results else self.UNDEFINED

    def close(self) -> None:
        """There is nothing to close."""


def compile_rules(opa: Path, rules: Path, entrypoints: list[str], bundle: Path) -> Path:
    """Write a bundle of a folder of rules as `pdp` does, but with any entrypoints, and any built-ins."""
    flags = [flag for entrypoint in entrypoints for flag in ("--entrypoint", entrypoint)]
    plain, module = (_built(opa, rules, more, bundle) for more in ([], ["--target", "wasm", *flags]))
    bundle.write_bytes(write_archive({**plain, MODULE: module[MODULE]}))
    return bundle


def _built(opa: Path, rules: Path, more: list[str], bundle: Path) -> dict[str, bytes]:
    command = [str(opa), "build", *more, "--output", str(bundle), "--bundle", "."]
    subprocess.run(command, cwd=rules, check=True, timeout=READY_WITHIN)
    return read_archive(bundle)


@contextmanager
def running(opa: Path, folder: Path, *paths: str) -> Iterator[Asked]:
    """Run OPA on a bundle (one path) or on what `paths` say; the socket is made in `folder`, which is short."""
    address = folder / "s"
    arguments = ["--addr", f"unix://{address}", "--log-level", "error", "--skip-version-check", *paths]
    process = subprocess.Popen([opa, "run", "--server", *arguments], stderr=subprocess.DEVNULL)
    try:
        with closing(_ready(address, process)) as asked:
            yield asked
    finally:
        process.terminate()
        process.wait()


def _ready(address: Path, process: subprocess.Popen[bytes]) -> Asked:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        asked = Asked(address)
        try:
            asked("system/version", {})
        except OSError:
            asked.close()
            time.sleep(0.005)
        else:
            return asked
    raise AssertionError(f"OPA did not become ready (status {process.poll()})")
