"""The demo, whole, on the bundled log, with the tiny preset."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "recollect", "demo", "--preset", "tiny"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "demo", done.stdout


def test_it_leaves_a_whole_run(demo: tuple[Path, str]) -> None:
    run, _ = demo
    left = {"data", "model", "recipe.toml", "run.json", "vectors.safetensors", "metrics.json", "report.html"}
    assert left <= {file.name for file in run.iterdir()}
    assert (run / "model" / "tokenizer.json").is_file()
    with safe_open(run / "model" / "model.safetensors", framework="numpy") as weights:
        assert "lm_head.weight" in weights.keys()  # noqa: SIM118 - it is no mapping


def test_it_beats_the_floors_and_says_by_how_much(demo: tuple[Path, str]) -> None:
    metrics = json.loads((demo[0] / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["floors"]) == {"item mean", "user mean", "recent like rate", "logistic regression"}
    assert metrics["auc"] > max(floor["auc"] for floor in metrics["floors"].values())
    assert metrics["paired"]["logistic regression"]["auc"]["low"] > 0


def test_it_shows_five_steps_and_the_same_weights(demo: tuple[Path, str]) -> None:
    _, shown = demo
    assert [line[0] for line in shown.splitlines() if line[1:3] == ". " and line[0].isdigit()][:5] == list("12345")
    assert "(the same)" in shown
    assert "141,695" in shown


def test_the_report_is_one_file(demo: tuple[Path, str]) -> None:
    page = (demo[0] / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert "<script" not in page
    assert "<link" not in page
    assert 'src="http' not in page
