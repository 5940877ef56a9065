"""`recollect import` and `recollect inspect` with the real command on small files, good and bad."""

import json
import os
import stat
from pathlib import Path

import pytest

HEADER = "userId,movieId,rating,timestamp\n"
GOOD = HEADER + "1,10,5.0,100\n1,20,2.0,200\n2,10,4.0,200\n2,20,3.0,300\n"
BAD = HEADER + "1,10,5.0,100\n1,20,excellent,200\n2,10,4.0,200\n2,20,3.0,soon\n"


@pytest.fixture
def ratings(tmp_path):
    """Write a file of ratings and give its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "ratings.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "ratings.csv")


def test_import_writes_a_folder_that_inspect_reads(recollect, ratings, tmp_path):
    imported = recollect("import", ratings(GOOD), "--out", tmp_path / "data", "--like", "rating>=4", "--strict")
    assert (imported.returncode, imported.stderr) == (0, "")
    assert "4 of 4 events" in imported.stdout
    assert leftovers(tmp_path) == ["data"]

    found = json.loads(recollect("inspect", tmp_path / "data", "--json").stdout)
    assert (found["rows"], found["users"], found["items"]) == (4, 2, 2)
    assert found["span"] == {"first": 100, "last": 300, "from": "1970-01-01 00:01:40", "to": "1970-01-01 00:05:00"}
    assert (found["like_share"], found["ties_share"]) == (0.5, 0.0)
    assert found["events_per_user"]["50%"] == 2
    assert found["splits"]["time"]["fits"]
    assert not found["splits"]["rella-ml1m"]["fits"]


def test_inspect_says_the_same_to_people(recollect, ratings, tmp_path):
    recollect("import", ratings(GOOD), "--out", tmp_path / "data", "--like", "rating>=4")
    shown = recollect("inspect", tmp_path / "data")
    assert (shown.returncode, shown.stderr) == (0, "")
    for text in ("50.0% likes", "1970-01-01 00:01:40 to 1970-01-01 00:05:00 UTC", "collm-ml1m: not for this log"):
        assert text in shown.stdout


def test_bad_rows_are_counted_shown_and_skipped(recollect, ratings, tmp_path):
    imported = recollect("import", ratings(BAD), "--out", tmp_path / "data")
    assert imported.returncode == 0
    for text in ("2 of 4 events", "2 bad rows", "line 3", "line 5"):
        assert text in imported.stdout


def test_strict_stops_at_the_first_bad_row_with_its_line(recollect, ratings, tmp_path):
    stopped = recollect("import", ratings(BAD), "--out", tmp_path / "data", "--strict")
    assert (stopped.returncode, stopped.stdout) == (3, "")
    assert "line 3" in stopped.stderr
    assert "excellent" in stopped.stderr
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "arguments", "code", "told"),
    [
        ("userId,rating,timestamp\n1,5.0,100\n", [], 3, "item"),
        (GOOD, ["--like", "rating is good"], 2, "rating is good"),
        (GOOD, ["--format", "papyrus"], 2, "papyrus"),
        (HEADER, [], 3, "error:"),
        ("", [], 3, "error:"),
        (b"\x00\x01\x02\xff" * 50, [], 3, "error:"),
    ],
    ids=["column", "rule", "format", "no row", "empty", "binary"],
)
def test_bad_input_is_told_and_nothing_written(recollect, ratings, tmp_path, content, arguments, code, told):
    refused = recollect("import", ratings(content), "--out", tmp_path / "data", *arguments)
    assert (refused.returncode, refused.stdout) == (code, ""), refused.stderr
    assert told in refused.stderr
    assert "  do  " in refused.stderr
    assert leftovers(tmp_path) == []


def test_source_that_is_missing(recollect, tmp_path):
    refused = recollect("import", tmp_path / "nowhere", "--out", tmp_path / "data")
    assert refused.returncode == 3
    assert "nowhere" in refused.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_folder_that_may_not_be_written(recollect, ratings, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert recollect("import", ratings(GOOD), "--out", locked / "data").returncode == 5


def test_place_that_is_taken_is_left_alone(recollect, ratings, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "diary.txt").write_text("mine")
    refused = recollect("import", ratings(GOOD), "--out", tmp_path / "data")
    assert refused.returncode == 2
    assert (tmp_path / "data" / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "rows"), [("ml-latest-small", 100_004), ("ml-1m-collm", 44_292), ("movietweetings", 141_695)]
)
def test_real_logs_by_the_real_command(recollect, real_log, tmp_path, name, rows):
    imported = recollect("import", real_log(name), "--out", tmp_path / "data", "--strict")
    assert (imported.returncode, imported.stderr) == (0, "")
    found = json.loads(recollect("inspect", tmp_path / "data", "--json").stdout)
    assert found["rows"] == rows
    assert found["import"]["rows_bad"] == 0
