"""The suite: which parts there are, how one is run, kept in a folder, and taken up again.

It decides that each part is written as soon as it ends, aside and then renamed, and that a part which stands in the
folder is not measured again if it was asked the same.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
from pydantic import ValidationError

from recollect.bench.append import measure_appending
from recollect.bench.data import measure_data
from recollect.bench.machine import machine_facts
from recollect.bench.result import Asked, Findings, Part
from recollect.bench.score import measure_scoring
from recollect.bench.tune import measure_tuning
from recollect.errors import SystemFailure, UsageError, translate
from recollect.progress import Progress

__all__ = ["PARTS", "run_part", "run_parts", "write_report"]

PARTS: Final[dict[str, Callable[..., Findings]]] = {
    "score": measure_scoring,
    "tune": measure_tuning,
    "append": measure_appending,
    "data": measure_data,
}
"""What each part measures: called with what is asked, and ``progress``."""


def run_parts(names: Sequence[str], asked: Asked, *, out: Path | None, progress: Progress) -> list[Part]:
    """Run parts one after the other; those that the folder holds already are read.

    Parameters
    ----------
    names
        Of `PARTS`.
    asked
        Backbone, device, size.
    out
        Folder of the parts; None if nothing is kept.
    progress
        Hears of it.

    Raises
    ------
    UsageError
        If there is no such device or backbone.
    ModelError
        If our ways disagree, or a model folder cannot be used.
    RecollectError
        If the system does not let us write.
    """
    _require_device(asked)
    parts: list[Part] = []
    for name in names:
        kept = None if out is None else _kept(out / f"{name}.json", asked)
        part = kept or run_part(name, asked, progress=progress)
        if out is not None and kept is None:
            _write(part.model_dump_json(indent=2) + "\n", out / f"{name}.json")
        parts.append(part)
    return parts


def run_part(name: str, asked: Asked, *, progress: Progress) -> Part:
    """Measure one part.

    Raises
    ------
    UsageError, ModelError, RecollectError
        As `run_parts`.
    """
    device = torch.device(asked.device)
    machine = machine_facts(device)
    found = PARTS[name](asked, progress=progress)
    return Part(
        part=name,
        asked=asked,
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        machine={**machine, "load_after": machine_facts(device)["load"]},
        rows=found.rows,
        times=found.times,
        facts=found.facts,
    )


def _kept(file: Path, asked: Asked) -> Part | None:
    """Read a part that was asked the same; anything else is measured anew."""
    try:
        part = Part.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return part if part.asked == asked else None


def write_report(parts: Sequence[Part], file: Path) -> None:
    """Write several parts as one JSON document.

    Raises
    ------
    RecollectError
        If the system does not let us.
    """
    document = {"parts": [part.model_dump(mode="json") for part in parts]}
    _write(json.dumps(document, indent=2) + "\n", file)


def _write(text: str, file: Path) -> None:
    """Write a file aside and put it in place.

    Raises
    ------
    RecollectError
        If the system does not let us.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}.aside")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise translate(error) or SystemFailure(
            "the measurement could not be written",
            got=error,
            expected="a place to write",
            do="look at the disk, then retry",
        ) from error


def _require_device(asked: Asked) -> None:
    """Check that torch can compute on the device.

    Raises
    ------
    UsageError
        If not.
    """
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "no GPU to measure", got="--device cuda", expected="a GPU that torch sees", do="use --device cpu"
        )
