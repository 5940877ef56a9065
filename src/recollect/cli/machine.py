"""What `recollect doctor` finds out about this machine, as one JSON document.

It decides that a fact which this system does not tell is null, never a guess.
"""

import importlib.util
import os
import platform
import re
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from recollect import __version__


def examine() -> dict[str, Any]:
    """Look at packages, machine, speed, folders and models; what is missing stands in `problems`."""
    packages = installed_packages()
    writable = {str(folder): is_writable(folder) for folder in (Path.cwd(), Path(tempfile.gettempdir()))}
    problems = [f"package {name} is missing" for name, version in packages.items() if version is None]
    problems += [f"folder {name} cannot be written" for name, fine in writable.items() if not fine]
    torch_there = packages.get("torch") is not None
    return {
        "recollect": __version__,
        "python": platform.python_version(),
        "packages": packages,
        "machine": describe_machine(torch_there=torch_there),
        "speed": measure_products() if torch_there else {},
        "writable": writable,
        "models": known_models(),
        "problems": problems,
    }


def installed_packages() -> dict[str, str | None]:
    """Give the version of each package that recollect needs; None where it is missing."""
    needed = [need for need in metadata.requires("recollect") or [] if "extra ==" not in need]
    names = sorted(match.group() for need in needed if (match := re.match(r"[\w.-]+", need)))
    return {name: _version(name) for name in names}


def describe_machine(*, torch_there: bool) -> dict[str, Any]:
    """Give system, cores, memory in GB, and what the processor and torch offer."""
    flags = _processor_flags()
    return {
        "system": platform.platform(terse=True),
        "cores": usable_cores(),
        "memory_gb": _memory("MemTotal"),
        "free_memory_gb": _memory("MemAvailable"),
        "bfloat16": None if flags is None else bool(flags & {"amx_bf16", "avx512_bf16", "bf16"}),
        "amx": None if flags is None else "amx_tile" in flags,
        **(_describe_torch() if torch_there else {"threads": None, "accelerator": None}),
    }


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_products() -> dict[str, float]:
    """Measure matrix products on the processor by type, in GFLOP/s."""
    import torch

    from recollect.bench.machine import product_rates

    return product_rates(torch.device("cpu"))


def is_writable(folder: Path) -> bool:
    """Try to write a file in a folder; it is gone afterwards."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"recollect")
    except OSError:
        return False
    return True


def known_models() -> dict[str, str]:
    """Name the models that work without a download, and where each comes from."""
    models = {"nano": "built in, tuned from scratch on your log"}
    if importlib.util.find_spec("huggingface_hub") is not None:
        from huggingface_hub.constants import HF_HUB_CACHE

        cached = sorted(Path(HF_HUB_CACHE).glob("models--*"))
        models |= {folder.name.removeprefix("models--").replace("--", "/"): str(folder) for folder in cached}
    return models


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _describe_torch() -> dict[str, Any]:
    import torch

    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if accelerator is None and torch.backends.mps.is_available():
        accelerator = "Apple GPU"
    return {"threads": torch.get_num_threads(), "accelerator": accelerator}


def _processor_flags() -> set[str] | None:
    """Read what the processor can do, on Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return set(match.group(1).split()) if match else None


def _memory(field: str) -> float | None:
    """Read a line of Linux's memory table, in GB."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(rf"^{field}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(match.group(1)) * 1024 / 1e9 if match else None
