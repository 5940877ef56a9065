"""The comparison of retrieval modes runs on a small model, and its figures are those of what is laid out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import planted_world, small_block, untuned

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder, world = tmp_path_factory.mktemp("retrieval"), planted_world()
    world.save(folder / "data")
    untuned(world, small_block("rella", "history.shown=3")).save(folder / "run")
    asked = ["--people", "2", "--candidates", "10", "--sets", "5", "--json", folder / "out.json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.retrieval", folder / "run", folder / "data", *asked],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "per=set" in done.stdout
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))


def test_one_trunk_is_cheaper_than_a_history_for_each_candidate(result):
    alone, shared, recent = (result["modes"][name] for name in ("per=candidate", "per=set", "recent"))
    assert (result["people timed"], result["candidates"], result["sets"]) == (2, 10, 5)
    assert alone["trunk"] < recent["trunk"] < shared["trunk"]
    assert alone["tokens"] > shared["tokens"] > recent["tokens"]
    assert all(found[clock] > 0 for found in (alone, shared, recent) for clock in ("ms", "ms laying out"))


def test_a_shared_history_holds_more_and_answers_differ(result):
    alone, shared, recent = (result["modes"][name] for name in ("per=candidate", "per=set", "recent"))
    assert alone["events"] == recent["events"] == 3 < shared["events"]
    assert alone["genres"] < recent["genres"] <= shared["genres"] <= 3
    assert len({found["UAUC"] for found in (alone, shared, recent)}) == 3
    gap = result["UAUC less that of per=candidate"]["per=set"]
    assert gap["mean"] == pytest.approx(shared["UAUC"] - alone["UAUC"])
