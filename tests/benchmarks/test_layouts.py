"""The comparison of layouts runs on a small model, and its figures are about the people that it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import planted_world, small_block, untuned

ROOT = Path(__file__).resolve().parents[2]


def test_it_compares_people_with_events_enough(tmp_path):
    world = planted_world()
    world.save(tmp_path / "data")
    untuned(world, small_block("recicl", "history.shown=2")).save(tmp_path / "run")
    asked = [tmp_path / "run", tmp_path / "data", "--people", "3", "--json", tmp_path / "out.json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.layouts", *asked], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result == json.loads(done.stdout)
    assert (result["people"], result["demonstrations"], result["queries"]) == (3, 8, 8)
    means = result["means"]
    assert means["effect, leave-one-out in blocks"]["mean"] > means["effect, leave-one-out as served"]["mean"]
    assert means["set effect in blocks"]["mean"] != pytest.approx(means["set effect as served"]["mean"])
