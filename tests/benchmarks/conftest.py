"""A small log and an untuned run of it in a folder, and a benchmark started on them as a user starts it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worlds import planted_world, small_block, untuned

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., tuple[Any, str]]:
    """Run a benchmark on a run of `recicl`; give what it wrote as JSON and what it printed."""

    def run(name: str, *options: str) -> tuple[Any, str]:
        world = planted_world()
        world.save(tmp_path / "data")
        untuned(world, small_block("recicl", "history.shown=2")).save(tmp_path / "run")
        asked = [tmp_path / "run", tmp_path / "data", *options, "--json", tmp_path / "out.json"]
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *asked], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "out.json").read_text(encoding="utf-8")), done.stdout

    return run
