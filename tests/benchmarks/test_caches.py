"""The comparison of caches runs on a small model: fewer bits are fewer bytes, and move scores a little."""

import json
import subprocess
import sys
from pathlib import Path

from worlds import planted_world, small_block, untuned

ROOT = Path(__file__).resolve().parents[2]


def test_fewer_bits_take_less_and_move_scores_a_little(tmp_path):
    world = planted_world()
    world.save(tmp_path / "data")
    untuned(world, small_block("recicl", "history.shown=2")).save(tmp_path / "run")
    asked = [tmp_path / "run", tmp_path / "data", "--rows", "20", "--json", tmp_path / "out.json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.caches", *asked], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    exact, narrow, least = json.loads((tmp_path / "out.json").read_text(encoding="utf-8")).values()
    assert exact["bytes of a token"] > narrow["bytes of a token"] > least["bytes of a token"]
    assert exact["log-odds moved, mean"] == 0 < narrow["log-odds moved, mean"] < least["log-odds moved, mean"] < 0.1
    assert abs(least["log loss"] - exact["log loss"]) < 0.01
