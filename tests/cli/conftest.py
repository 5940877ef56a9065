"""The real command in a process of its own, as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]

QUIET = {"COLUMNS": "100", "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "PYTHONHASHSEED": "0", "TERM": "dumb"}
FORCED = ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "RECOLLECT_DEBUG", "TERMINAL_WIDTH")


@pytest.fixture(scope="session")
def recollect() -> Run:
    """Run `recollect` with arguments; text of both streams and the exit code come back."""

    def run(*arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
        kept = {name: value for name, value in os.environ.items() if name not in FORCED}
        return subprocess.run(
            [sys.executable, "-m", "recollect", *map(str, arguments)],
            capture_output=True,
            check=False,
            cwd=cwd,
            encoding="utf-8",
            env={**kept, **QUIET, **(env or {})},
        )

    return run
