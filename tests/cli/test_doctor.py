"""`recollect doctor` on the machine under test."""

import json
from pathlib import Path

import pytest

from recollect.cli import machine


@pytest.fixture(scope="module")
def report(recollect):
    finished = recollect("doctor", "--json")
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_report_knows_every_package(report):
    assert {"numpy", "polars", "torch", "transformers"} <= set(report["packages"])
    assert all(report["packages"].values())


def test_report_measures_this_machine(report):
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["threads"] >= 1
    assert set(report["speed"]) == {"float32", "bfloat16"}
    assert min(report["speed"].values()) > 0


def test_report_measures_the_ways_of_serving(report):
    ways = report["ways"]
    assert ways["automatic"] in {"stock", "compact"} <= set(ways["milliseconds"])
    assert min(ways["milliseconds"].values()) > 0
    assert set(ways["not_measured"]).isdisjoint(ways["milliseconds"])


def test_report_names_folders_models_and_no_problem(report):
    assert all(report["writable"].values())
    assert "nano" in report["models"]
    assert report["problems"] == []


def test_text_says_the_same(recollect):
    finished = recollect("doctor")
    assert finished.returncode == 0
    assert "matrix product, bfloat16" in finished.stdout
    assert finished.stderr == ""


def test_folder_that_is_missing_cannot_be_written(tmp_path: Path):
    assert machine.is_writable(tmp_path)
    assert not machine.is_writable(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []
