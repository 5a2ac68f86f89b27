"""OPA's WebAssembly ABI (1.2 and later) on wasmtime: a compiled policy, and the instances that evaluate it.

No Python runs inside an evaluation. What a policy imports is itself a small module, `HOST`, in which an abort stops
the evaluation and leaves its message behind. An instance is used by one thread at a time; it is thrown away once it was
stopped in the middle of something. Sources: OPA's documentation, "Wasm"; wasm/src/context.c and malloc.c of OPA 1.22.
"""

import ctypes
import json
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi  # the C API itself: `wasmtime.Func` takes 60 us to look at the seven numbers of a call

from ..errors import Fault
from .wire import MAX_ANSWER

PAGE = 65536  # bytes: WebAssembly's unit of memory
MEMORY_CAP = 64 * 1024 * 1024  # bytes an instance may have; a verdict takes about 0.1, a list of 200 tools 9
FIRST_READ = 4096  # bytes: a verdict is shorter
WHILE_LOADING = 1 << 32  # epochs, so: unlimited; data is ours and bounded
JSON = 0  # the form of a result: JSON text, not Rego's own
MAJOR, MINOR = 1, 2  # of the ABI: 1.2 brought `opa_eval`, which also resets the heap

HOST = """(module
  (memory (export "memory") {pages})
  (global (export "abort_message") (mut i32) (i32.const 0))
  (func (export "opa_abort") (param i32) (global.set 0 (local.get 0)) unreachable)
  (func (export "opa_println") (param i32))
  (func (export "opa_builtin0") (param i32 i32) (result i32) unreachable)
  (func (export "opa_builtin1") (param i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin2") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin3") (param i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin4") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable))"""


class Interrupted(Exception):
    """The evaluation took longer than it was given."""


class Aborted(Exception):
    """The policy gave up, or needed more memory than it may have; the message says what it said."""


BROKEN = (wasmtime.WasmtimeError, wasmtime.Trap, Aborted, KeyError)  # what making an instance may raise


class Program:
    """A compiled policy with its data. `entrypoints`: the number of each; `builtins`: what a host would have to supply.

    Compiling takes a fifth of a second and releases the interpreter: call it in a thread. Raises `Fault`.
    """

    def __init__(self, module: bytes, data: bytes) -> None:
        self.data = data
        engine = _engine()
        try:
            compiled = wasmtime.Module(engine, module)
            self.code = bytes(compiled.serialize())
            self.host = bytes(wasmtime.Module(engine, HOST.format(pages=_pages(compiled))).serialize())
            first = Instance(self)
        except BROKEN as error:
            raise Fault(f"The compiled policy cannot be loaded ({_first_line(error)}): build it anew.") from None
        self.entrypoints: dict[str, int] = first.listed("entrypoints")
        self.builtins: dict[str, int] = first.listed("builtins")


class Instance:
    """A policy with a memory of its own, and an engine of its own, so that it alone can be interrupted.

    `spent`: it was stopped in the middle of something, and answers no more.
    """

    def __init__(self, program: Program) -> None:
        self._engine = _engine()
        self._store = store = wasmtime.Store(self._engine)
        store.set_limits(memory_size=MEMORY_CAP, memories=1)
        store.set_epoch_deadline(WHILE_LOADING)
        host = wasmtime.Instance(store, wasmtime.Module.deserialize(self._engine, program.host), [])
        linker = wasmtime.Linker(self._engine)
        linker.define_instance(store, "env", host)
        policy = linker.instantiate(store, wasmtime.Module.deserialize(self._engine, program.code))
        self._memory: Any = host.exports(store)["memory"]
        self._message: Any = host.exports(store)["abort_message"]
        self._exports: Any = policy.exports(store)
        _must_speak(self._exports, store)
        opa_eval: Any = self._exports["opa_eval"]
        self._opa_eval: Any = opa_eval._func  # noqa: SLF001  # what the C API takes
        self._context: Any = store._context()  # noqa: SLF001  # likewise
        self._given, self._answer = (ffi.wasmtime_val_t * 7)(), (ffi.wasmtime_val_t * 1)()
        self._data, self._heap = self._load(program.data)
        self.spent = False

    def arm(self, epochs: int) -> None:
        """Say after how many interruptions the next evaluation gives up."""
        self._store.set_epoch_deadline(epochs)

    def interrupt(self) -> None:
        """Count one interruption; called from another thread than the one that evaluates."""
        self._engine.increment_epoch()

    def evaluate(self, entrypoint: int, document: bytes) -> bytes:
        """Return the result set as JSON: a list of one `{"result": ...}`, or of none when the rule is undefined.

        `document` must be JSON, which is not checked: the policy takes any other for no input at all. Everything it
        allocates is given back at the next call. Raises `Interrupted`, `Aborted`.
        """
        if self.spent:
            raise Aborted("there is no room for a fresh instance")
        self.spent = True
        start, end = self._heap, self._heap + len(document)
        self._reserve(end)
        ctypes.memmove(self._base() + start, document, len(document))
        text = self._text(self._evaluated(0, entrypoint, self._data, start, len(document), end, JSON))
        self.spent = False
        return text

    def listed(self, function: str) -> dict[str, int]:
        """Return what `entrypoints` or `builtins` says: names, each with its number."""
        address = self._exports["opa_json_dump"](self._store, self._exports[function](self._store))
        named: dict[str, int] = json.loads(self._text(address))
        return named

    @property
    def memory_size(self) -> int:
        """Return how many bytes of memory it has grown to."""
        return int(self._memory.data_len(self._store))

    def _load(self, data: bytes) -> tuple[int, int]:
        """Parse the data into the heap, where it stays; returns its address and where the heap goes on."""
        address = self._exports["opa_malloc"](self._store, len(data))
        ctypes.memmove(self._base() + address, data, len(data))
        parsed = self._exports["opa_json_parse"](self._store, address, len(data))
        if not parsed:
            raise Aborted("its data is not JSON")
        return parsed, self._exports["opa_heap_ptr_get"](self._store)

    def _evaluated(self, *numbers: int) -> int:
        """Call `opa_eval`, which resets the heap to `end` before it begins."""
        for value, number in zip(self._given, numbers, strict=True):
            value.kind, value.of.i32 = ffi.WASMTIME_I32, number
        trap = ctypes.POINTER(ffi.wasm_trap_t)()
        call = self._context, ctypes.byref(self._opa_eval), self._given, len(self._given), self._answer, 1
        error = ffi.wasmtime_func_call(*call, ctypes.byref(trap))
        if error:
            ffi.wasmtime_error_delete(error)
            raise Aborted("its entrypoint cannot be called")
        if trap:
            raise self._stopped(trap)
        address: int = self._answer[0].of.i32
        return address & 0xFFFFFFFF

    def _stopped(self, trap: Any) -> Exception:
        code = ffi.wasmtime_trap_code_t()
        known = ffi.wasmtime_trap_code(trap, ctypes.byref(code))
        ffi.wasm_trap_delete(trap)
        said = self._message.value(self._store)
        if said:
            return Aborted(self._text(said & 0xFFFFFFFF).decode(errors="replace"))
        kind = wasmtime.TrapCode(code.value) if known else None
        return Interrupted() if kind is wasmtime.TrapCode.INTERRUPT else Aborted(kind.name if kind else "trap")

    def _reserve(self, end: int) -> None:
        short = end - self.memory_size
        if short > 0:
            try:
                self._memory.grow(self._store, -(-short // PAGE))
            except wasmtime.WasmtimeError:
                raise Aborted(f"the input does not fit into {MEMORY_CAP} bytes") from None

    def _text(self, address: int) -> bytes:
        """Return the text that ends with a zero byte; never a byte from outside of the memory."""
        room = self.memory_size - address
        for length in (FIRST_READ, MAX_ANSWER + 1):
            text, ended, _ = ctypes.string_at(self._base() + address, max(0, min(length, room))).partition(b"\0")
            if ended:
                return text
        raise Aborted(f"its answer is larger than {MAX_ANSWER} bytes")

    def _base(self) -> int:
        return ctypes.addressof(self._memory.data_ptr(self._store).contents)


def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.epoch_interruption = True
    return wasmtime.Engine(config)


def _pages(module: wasmtime.Module) -> int:
    """Return how many pages of memory the policy wants to begin with."""
    wanted = [kind.type for kind in module.imports if isinstance(kind.type, wasmtime.MemoryType)]
    return wanted[0].limits.min if wanted else 1


def _must_speak(exports: Any, store: wasmtime.Store) -> None:
    try:
        spoken = tuple(exports[f"opa_wasm_abi_{part}"].value(store) for part in ("version", "minor_version"))
    except KeyError:
        raise Aborted("it was not compiled by OPA") from None
    if spoken[0] != MAJOR or spoken[1] < MINOR:
        raise Aborted(f"it speaks ABI {spoken[0]}.{spoken[1]}, not {MAJOR}.{MINOR} or a later {MAJOR}.x")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
