"""`python -m recollect.bench.data_stages SOURCE FOLDER`: import a log, split it, sample it; one JSON line per stage.

It decides to be a process of its own, so that its peak memory is that of the data path alone: torch is never loaded.
A stage is *import* (read, keep, write the data folder), *load* (the folder), *split* (by time), *statistics* (the
context of all rows), and *sample* (the windows of one tuning epoch over the training rows).
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from recollect.context.evidence import Context, HistoryView
from recollect.data.dataset import Dataset
from recollect.data.past import PastRule
from recollect.data.readers import read
from recollect.data.splits import split_by_time

T = TypeVar("T")
_VIEW: Final = HistoryView(shown=160, evict=32)
_MEGA: Final = 1e6


def run_stages(source: Path, folder: Path) -> None:
    """Run all stages and write what each took."""
    _stage("import", lambda: read(source)[0].save(folder))
    dataset = _stage("load", lambda: Dataset.load(folder))
    split = _stage("split", lambda: split_by_time(dataset.log))
    context = _stage("statistics", lambda: Context(dataset.log, rule=PastRule(), prior=0.5))
    windows = context.tuning_windows(split.train, _VIEW, random=np.random.default_rng(0))
    _stage("sample", lambda: sum(int(window.asked.sum()) for window in windows))


def _stage(name: str, run: Callable[[], T]) -> T:
    begun = time.perf_counter()
    result = run()
    facts: dict[str, Any] = {"stage": name, "seconds": time.perf_counter() - begun, "peak_mb": peak_megabytes()}
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    return result


def peak_megabytes() -> float | None:
    """Return the most memory that this process has held, in megabytes; None where the system does not tell.

    The usual system call would count what the parent held when it started this process, so Linux's own table is read.
    """
    try:
        table = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"^VmHWM:\s*(\d+) kB$", table, re.MULTILINE)
    return None if match is None else int(match.group(1)) * 1024 / _MEGA


if __name__ == "__main__":
    run_stages(Path(sys.argv[1]), Path(sys.argv[2]))
