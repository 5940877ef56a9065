"""A benchmark of the service runs at a small size, against a real process; nothing about speed is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import planted_world, small_recipe, untuned

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    world = planted_world()
    world.save(folder / "data")
    untuned(world, small_recipe()).save(folder / "run")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.service", "staleness", folder / "run", folder / "data"),
            *("--quick", "--store", "sqlite", "--json", folder / "report.json"),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "report.json").read_text(encoding="utf-8")), done.stdout


def test_all_that_is_asked_is_so(report):
    for part in report[0]["parts"]:
        for figure in part["figures"]:
            assert figure["met"] is not False, figure
            assert figure["name"] in report[1]


@pytest.mark.parametrize(
    ("part", "name", "least"),
    [
        ("staleness, sqlite", "acknowledged writes", 100),
        ("staleness, sqlite", "rankings by the model", 1),
    ],
)
def test_a_figure_of_nothing_would_say_nothing(report, part, name, least):
    figures = next(one["figures"] for one in report[0]["parts"] if one["part"] == part)
    assert next(one["got"] for one in figures if one["name"] == name) >= least
