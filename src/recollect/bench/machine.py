"""The machine under a measurement: its facts, and the rate of matrix products that all shares refer to.

It decides that the peak is what one large product of the same type reaches with the same threads, measured among the
ways and not before them, so that another job on the machine hits it alike; and that bfloat16 is used where its products
are faster than those of float32.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from typing import Any, Final

import torch

from recollect.bench.timing import Way

__all__ = ["computes_narrow", "machine_facts", "product_flops", "product_rates", "product_way", "settler"]

_WIDTH: Final = {"cpu": 1024, "cuda": 8192}
_SECONDS: Final = 0.1
_GIGA: Final = 1e9


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Look at the machine: system, cores, threads, what the processor offers, load, device, versions."""
    return {
        "system": platform.platform(terse=True),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "spin_count": os.environ.get("GOMP_SPINCOUNT", "library's own"),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "gflops": {kind: round(rate, 1) for kind, rate in product_rates(device).items()},
        "versions": {name: metadata.version(name) for name in ("torch", "transformers")},
    }


def product_rates(device: torch.device) -> dict[str, float]:
    """Measure matrix products by type, in GFLOP/s (10^9 additions or multiplications a second)."""
    return {kind: _rate(dtype, device) for kind, dtype in _TYPES.items()}


def computes_narrow(device: torch.device) -> bool:
    """Tell whether bfloat16 products are faster here than float32 ones."""
    rates = product_rates(device)
    return device.type == "cuda" or rates["bfloat16"] > rates["float32"]


def product_way(group: str, precision: str, device: torch.device) -> Way:
    """Make a way that computes one matrix product of `product_flops` operations."""
    width = _WIDTH[device.type]
    matrix = torch.ones(width, width, dtype=_TYPES[precision], device=device)
    return Way(group, f"one matrix product, {precision}", lambda: matrix @ matrix)


def product_flops(device: torch.device) -> float:
    """Return the operations of `product_way`."""
    return 2.0 * _WIDTH[device.type] ** 3


def settler(device: torch.device) -> Any:
    """Return what waits until a device has done all that it was given."""
    return torch.cuda.synchronize if device.type == "cuda" else _nothing


def _nothing() -> None:
    """Wait for nothing: a CPU has done what it returned from."""


_TYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def _rate(dtype: torch.dtype, device: torch.device) -> float:
    """Measure matrix products in GFLOP/s."""
    width = _WIDTH[device.type] // 2
    matrix, settle = torch.ones(width, width, dtype=dtype, device=device), settler(device)
    _ = matrix @ matrix
    settle()
    begun, rounds = time.perf_counter(), 0
    while time.perf_counter() - begun < _SECONDS:
        _ = matrix @ matrix
        settle()
        rounds += 1
    return rounds * 2 * width**3 / (time.perf_counter() - begun) / _GIGA
