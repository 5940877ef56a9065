"""The native library: the C++ files of this folder, compiled once for this machine and kept on disk.

What it decides: it is offered on Linux processors with AMX tiles and bfloat16 vectors where a C++ compiler is at hand;
the library lies in the user's cache folder under the digest of its sources, flags and compiler, is written aside and
then renamed, and is never built in a request, since `recollect.model.ways` builds it when the way is chosen. It runs in
the OpenMP threads of torch, so that no thread waits for work on a core that another one needs.
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

__all__ = [
    "DecoderNumbers",
    "Kernel",
    "LayerWeights",
    "Query",
    "Trees",
    "compiler",
    "has_kernel",
    "lacks_tiles",
    "load_kernel",
]

_SOURCES: Final = sorted(Path(__file__).parent.glob("*.cpp"))
_READ: Final = [*sorted(Path(__file__).parent.glob("*.h")), *_SOURCES]
_FLAGS: Final = (
    *("-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-mavx2", "-mfma"),
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"),
)

_UNBUILT: Final = {
    "what": "the native kernel cannot be built",
    "expected": "a C++ compiler that knows AMX (GCC 11, Clang 12 or newer) and a writable cache folder",
    "do": "set CXX or XDG_CACHE_HOME, or choose the way compiled-bfloat16",
}

Kernel = Any
"""The library: `prefer_huge_pages`, `pack_columns`, `read_branches`, `attend_trees`, `derive_trees`."""


class LayerWeights(Structure):
    """Point at the weights of one layer: `Layer` of `branches.cpp`."""

    _fields_: ClassVar[Any] = [
        (name, c_void_p)
        for name in (
            *("before_attention", "before_feed", "query_norm", "key_norm"),
            *("query", "key", "value", "out", "gate", "up", "down"),
            *(f"{name}_bias" for name in ("query", "key", "value", "out", "gate", "up", "down")),
        )
    ]


class DecoderNumbers(Structure):
    """Hold the sizes of a decoder and point at its layers: `Decoder` of `branches.cpp`."""

    _fields_: ClassVar[Any] = [
        *((name, c_int64) for name in ("layers", "width", "heads", "shared", "head_width", "feed")),
        *((name, c_float) for name in ("scaling", "epsilon")),
        ("layer", POINTER(LayerWeights)),
        ("norm", c_void_p),
    ]


class Query(Structure):
    """Point at what is asked: `Query` of `branches.cpp`."""

    _fields_: ClassVar[Any] = [
        *((name, c_int64) for name in ("threads", "shares", "length", "asks", "trunk", "turned", "grows")),
        *((name, c_void_p) for name in ("embedded", "cosines", "sines", "places")),
        ("ends", POINTER(c_int64)),
        *((name, POINTER(c_void_p)) for name in ("keys", "values")),
        *((name, c_int64 * 2) for name in ("key_steps", "value_steps")),
        *((name, c_void_p) for name in ("packed_keys", "packed_values", "out")),
    ]


class Trees(Structure):
    """Point at the queries, keys and values of packed trees, and at what sees what: `Trees` of `attention.cpp`."""

    _fields_: ClassVar[Any] = [
        *((name, c_int64) for name in ("threads", "rows", "tokens", "heads", "shared", "width")),
        ("scaling", c_float),
        *((name, c_void_p) for name in ("query", "key", "value", "grad")),
        *((f"{name}_steps", c_int64 * 3) for name in ("query", "key", "value", "grad")),
        *((name, c_void_p) for name in ("seen", "asking", "out", "query_grad", "key_grad", "value_grad", "log_totals")),
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
    kernel.prefer_huge_pages.argtypes, kernel.prefer_huge_pages.restype = (c_void_p, c_int64), c_void_p
    kernel.pack_columns.argtypes = (c_void_p, c_int64, c_int64, c_int64, c_void_p)
    kernel.read_branches.argtypes = (POINTER(DecoderNumbers), POINTER(Query))
    for attend in (kernel.attend_trees, kernel.derive_trees):
        attend.argtypes, attend.restype = (POINTER(Trees),), None
    kernel.pack_columns.restype = kernel.read_branches.restype = None
    if refusal := kernel.request_tiles():
        raise ModelError(
            "the system grants no AMX tiles",
            got=f"error {refusal} of arch_prctl",
            expected="Linux 5.16 or newer, and a sandbox that lets tiles through",
            do="choose the way compiled-bfloat16",
        )
    return kernel


@functools.cache
def has_kernel() -> bool:
    """Tell whether the library can be used here; it is built if need be."""
    try:
        return lacks_tiles() is None and bool(load_kernel())
    except ModelError:
        return False


def _built() -> Path:
    """Return the library's file, built if need be.

    Raises
    ------
    ModelError
        If it cannot be built.
    """
    digest = hashlib.sha256(
        "\n".join([compiler(), *_FLAGS, *(one.read_text(encoding="utf-8") for one in _READ)]).encode()
    )
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recollect"
    file = place / f"native-{digest.hexdigest()[:16]}.so"
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
        command = [compiler(), *_FLAGS, "-o", str(made), *map(str, _SOURCES)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise ModelError(**_UNBUILT, got=f"{compiler()}: {said[-1]}")
        made.replace(file)
