"""Wrong calls: options, times and folders that make no sense, and readers that go away."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["frob"],
        ["inspect"],
        ["inspect", "data", "--colour"],
        ["tune", "data"],
        ["tune", "data", "--out", "run", "--preset", "huge"],
        ["tune", "data", "--out", "run", "--seed", "-1"],
        ["tune", "data", "--out", "run", "--protocol", "time", "--until", "2013-09-01"],
        ["tune", "data", "--out", "run", "--until", "soon"],
        ["tune", "data", "--dry-run", "--rows", "-1"],
        ["recipes", "frob"],
        ["recipes", "show"],
        ["prompt", "show", "run", "data", "--user", "1"],
        ["evaluate", "run", "data", "--part", "train"],
        ["recommend", "run", "data"],
        ["recommend", "run", "data", "--user", "1", "--top", "0"],
        ["recommend", "run", "data", "--user", "1", "--at", "soon"],
        ["compare", "run", "data"],
    ],
    ids=" ".join,
)
def test_wrong_calls_leave_with_two_and_say_nothing_on_stdout(recollect, arguments, tmp_path):
    finished = recollect(*arguments, cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr


def test_time_that_is_no_time_is_told_with_the_forms_that_are(recollect, tmp_path):
    finished = recollect("recommend", "run", "data", "--user", "1", "--at", "soon", cwd=tmp_path)
    assert finished.stderr.splitlines() == [
        "error: --at takes a time",
        "  got       'soon'",
        "  expected  unix seconds or an ISO date in UTC, such as 1356998400, 2013-01-01 or 2013-01-01T12:30:00",
        "  do        write --at in one of these forms",
    ]


@pytest.mark.parametrize("arguments", [["inspect", "nowhere"], ["evaluate", "run", "nowhere"]], ids=" ".join)
def test_data_folder_that_is_missing_leaves_with_three(recollect, arguments, tmp_path):
    finished = recollect(*arguments, cwd=tmp_path)
    assert finished.returncode == 3
    assert "  do        make one with `recollect import`" in finished.stderr


@pytest.mark.parametrize("group", [[], ["recipes"], ["prompt"], ["study"]], ids=" ".join)
def test_no_arguments_show_the_help(recollect, group):
    assert " ".join(["Usage: recollect", *group]) in recollect(*group).stdout


def test_version(recollect):
    finished = recollect("--version")
    assert (finished.returncode, finished.stdout.split()[0]) == (0, "recollect")


def test_reader_that_closes_the_pipe_is_no_error():
    program = f"{sys.executable} -m recollect doctor --json"
    finished = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{program} | true"], capture_output=True, check=False, encoding="utf-8"
    )
    assert (finished.returncode, finished.stderr) == (0, "")
