"""The native kernel: `amx.cpp`, compiled once for this machine, kept on disk, and called without a copy.

What it decides: it is offered on Linux processors with AMX tiles and bfloat16 vectors where a C++ compiler is at hand;
the library lies in the user's cache folder under the digest of its source, its flags and its compiler, is written aside
and then renamed, and is never built in a request, since `recollect.model.ways` builds it when the way is chosen.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import torch

from recollect.errors import ModelError

__all__ = ["DecoderNumbers", "Kernel", "LayerWeights", "Query", "compiler", "lacks_tiles", "load_kernel"]

_SOURCE: Final = Path(__file__).with_name("amx.cpp")
_FLAGS: Final = (
    *("-O3", "-std=c++17", "-fPIC", "-shared", "-mavx2", "-mfma"),
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"),
)

_UNBUILT: Final = {
    "what": "the native kernel cannot be built",
    "expected": "a C++ compiler that knows AMX (GCC 11, Clang 12 or newer) and a writable cache folder",
    "do": "set CXX or XDG_CACHE_HOME, or choose the way compiled-bfloat16",
}

Kernel = Any
"""The library: `pack_columns`, `pack_rows` and `read_branches` of `amx.cpp`."""


class LayerWeights(Structure):
    """Point at the weights of one layer: `Layer` of `amx.cpp`."""

    _fields_: ClassVar[Any] = [
        (name, c_void_p)
        for name in (
            *("before_attention", "before_feed", "query_norm", "key_norm"),
            *("query", "key", "value", "out", "gate", "up", "down"),
            *(f"{name}_bias" for name in ("query", "key", "value", "out", "gate", "up", "down")),
        )
    ]


class DecoderNumbers(Structure):
    """Hold the sizes of a decoder and point at its layers: `Decoder` of `amx.cpp`."""

    _fields_: ClassVar[Any] = [
        *((name, c_int64) for name in ("layers", "width", "heads", "shared", "head_width", "feed")),
        *((name, c_float) for name in ("scaling", "epsilon")),
        ("layer", POINTER(LayerWeights)),
        ("norm", c_void_p),
    ]


class Query(Structure):
    """Point at what is asked: `Query` of `amx.cpp`."""

    _fields_: ClassVar[Any] = [
        *((name, c_int64) for name in ("length", "asks", "trunk", "turned")),
        *((name, c_void_p) for name in ("embedded", "cosines", "sines", "places")),
        *((name, POINTER(c_void_p)) for name in ("keys", "values")),
        ("out", c_void_p),
    ]


def lacks_tiles() -> str | None:
    """Name what this machine lacks for the kernel; None if nothing."""
    cpu = cast(Any, torch.cpu)
    if sys.platform != "linux" or not (cpu._is_amx_tile_supported() and cpu._is_avx512_bf16_supported()):  # noqa: SLF001
        return "no AMX tiles for bfloat16 on this processor"
    return None if shutil.which(compiler()) else "no C++ compiler"


def compiler() -> str:
    """Return the command that compiles C++."""
    return os.environ.get("CXX", "g++")


@functools.cache
def load_kernel() -> Kernel:
    """Load the library; build it first if it is not there yet.

    Raises
    ------
    ModelError
        If it cannot be built, or the system grants no tiles.
    """
    kernel = ctypes.CDLL(str(_built()))
    kernel.request_tiles.restype = c_int
    for pack in (kernel.pack_columns, kernel.pack_rows):
        pack.argtypes, pack.restype = (c_void_p, c_int64, c_int64, c_int64, c_void_p), None
    kernel.read_branches.argtypes = (POINTER(DecoderNumbers), POINTER(Query), c_int64, c_int64)
    kernel.read_branches.restype = None
    if refusal := kernel.request_tiles():
        raise ModelError(
            "the system grants no AMX tiles",
            got=f"error {refusal} of arch_prctl",
            expected="Linux 5.16 or newer, and a sandbox that lets tiles through",
            do="choose the way compiled-bfloat16",
        )
    return kernel


def _built() -> Path:
    """Return the library's file, built if need be.

    Raises
    ------
    ModelError
        If it cannot be built.
    """
    digest = hashlib.sha256("\n".join([compiler(), *_FLAGS, _SOURCE.read_text(encoding="utf-8")]).encode())
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recollect"
    file = place / f"amx-{digest.hexdigest()[:16]}.so"
    if not file.is_file():
        try:
            place.mkdir(parents=True, exist_ok=True)
            _build(file)
        except OSError as error:
            raise ModelError(**_UNBUILT, got=error) from error
    return file


def _build(file: Path) -> None:
    """Compile aside, then rename.

    Raises
    ------
    ModelError
        If the compiler refuses.
    OSError
        If it cannot be started, or the folder not be written.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as aside:
        made = Path(aside) / file.name
        command = [compiler(), *_FLAGS, "-o", str(made), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise ModelError(**_UNBUILT, got=f"{compiler()}: {said[-1]}")
        made.replace(file)
