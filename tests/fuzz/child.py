"""One target under libFuzzer, in a process of its own: `python -m tests.fuzz.child TARGET OUT [libFuzzer's flags]`.

A finding does not end the run: it is written down once for each place it comes from, and the search goes on.
"""

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # it has wheels for some machines only

MEASURED = ["pdp", "json", "base64", "jwt"]  # whose branches guide the search


class Target:
    """What is fuzzed, and what was found so far, by where it was raised."""

    def __init__(self, name: str, out: Path) -> None:
        with atheris.instrument_imports(include=MEASURED):
            module = importlib.import_module(f"tests.fuzz.{name}")
        self.check: Callable[[bytes], None] = module.check
        self.seeds: list[bytes] = module.seeds()
        self.words: list[str] = module.words()
        self._name = name
        self._out = out
        self._found: set[str] = set()

    def __call__(self, data: bytes) -> None:
        """Try one input (called by libFuzzer)."""
        try:
            self.check(data)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what we look for
            self._note(data, error)

    def _note(self, data: bytes, error: Exception) -> None:
        places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        place = hashlib.sha256(f"{type(error).__name__} {places[-1]}".encode()).hexdigest()[:12]
        if place in self._found:
            return
        self._found.add(place)
        self._out.mkdir(parents=True, exist_ok=True)
        (self._out / f"{self._name}-{place}").write_bytes(data)
        (self._out / f"{self._name}-{place}.txt").write_text("".join(traceback.format_exception(error)))
        print(f"FOUND {self._name}-{place}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)


def main() -> None:
    """Fuzz; libFuzzer ends the process."""
    name, out, *flags = sys.argv[1:]
    target = Target(name, Path(out))
    corpus = Path(out) / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / f"seed-{hashlib.sha256(seed).hexdigest()[:12]}").write_bytes(seed)
    dictionary = Path(out) / f"{name}.dict"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    atheris.Setup([sys.argv[0], f"-dict={dictionary}", "-print_final_stats=1", *flags, str(corpus)], target)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
