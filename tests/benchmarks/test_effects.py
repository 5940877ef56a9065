"""The cost of effects is measured at a small size; nothing about speed is asserted."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_quick_run_times_three_ways(tmp_path: Path) -> None:
    file = tmp_path / "effects.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.effects", "--quick", "--json", file],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ways = json.loads(file.read_text(encoding="utf-8"))["ways"]

    assert len(ways) == 3
    assert ways[0]["times_the_effects"] == 1
    for way in ways:
        assert way["median_seconds"] > 0
        assert way["way"] in done.stdout
