"""The whole way by the real command, on a cut of a real log: import, inspect, tune, evaluate, recommend, compare.

The long way runs in processes of its own, as a user runs it; what only ends in a message runs in this process.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from recollect.cli.app import build
from recollect.data.bundled import movietweetings

USERS, ROWS = 80, 4000
QUICK = ("--preset", "tiny", "--set", "tuning.epochs=1", "--set", "tuning.batch_tokens=128")
OFTEN = ("--set", "tuning.checkpoint_seconds=0.01")
METRICS = {"auc", "uauc", "uauc_users", "log_loss", "ece", "rows", "seconds"}
# A shell that started the tests in the background lets them, and whatever they start, ignore interrupts; users' do not.
HEARS_INTERRUPTS = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from recollect.cli.app import main; main()"
)
PATIENCE = 120  # seconds until a process that hangs fails its test


def write_ratings(file: Path) -> None:
    """Cut the bundled log to active people, and write it as other programs would."""
    dataset = movietweetings()
    log, catalog = dataset.log, dataset.catalog
    active = np.flatnonzero(np.bincount(log.user) >= 40)[:USERS]
    rows = np.flatnonzero(np.isin(log.user, active))[:ROWS]
    pl.DataFrame(
        {
            "userId": [dataset.users.ids[code] for code in log.user[rows]],
            "movieId": [catalog.ids[code] for code in log.item[rows]],
            "rating": log.value[rows],
            "timestamp": log.time[rows],
            "title": [catalog.titles[code] for code in log.item[rows]],
            "genres": ["|".join(catalog.genres[code]) for code in log.item[rows]],
        }
    ).write_csv(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, recollect):
    """A folder with `data` and two runs of different seeds, `run` and `other`, all made by the command."""
    folder = tmp_path_factory.mktemp("end-to-end")
    write_ratings(folder / "ratings.csv")
    said: dict[str, str] = {}
    for name, arguments in {
        "import": ("import", "ratings.csv", "--out", "data", "--like", "rating>=8", "--strict"),
        "tune": ("tune", "data", "--out", "run", *QUICK),
        "other": ("tune", "data", "--out", "other", "--seed", "1", *QUICK),
    }.items():
        finished = recollect(*arguments, cwd=folder)
        assert finished.returncode == 0, finished.stderr
        said[name] = finished.stdout
    assert f"{ROWS:,} of {ROWS:,} events" in said["import"]
    assert "rows learned from" in said["tune"]
    return folder


@pytest.fixture(scope="module")
def evaluated(folder, recollect):
    """The same folder with both runs evaluated; and the JSON of the first, the table of the second."""
    first = recollect("evaluate", "run", "data", "--json", cwd=folder)
    second = recollect("evaluate", "other", "data", cwd=folder)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    return json.loads(first.stdout), second.stdout


def invoke(folder: Path, *arguments: str):
    """Run a command in this process; `run`, `data` and the like are names in the folder."""
    places = [str(folder / one) if (folder / one).exists() else one for one in arguments]
    return CliRunner().invoke(build(), places)


def card(run: Path) -> dict[str, object]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def someone(folder: Path) -> str:
    """Name a user with a past."""
    return str(pl.read_csv(folder / "ratings.csv")["userId"].mode()[0])


def test_inspect_knows_what_was_imported(folder):
    found = json.loads(invoke(folder, "inspect", "data", "--json").stdout)
    assert (found["rows"], found["users"]) == (ROWS, USERS)


def test_a_run_holds_what_it_takes_to_answer(folder):
    names = {path.name for path in (folder / "run").iterdir()}
    assert names >= {"run.json", "recipe.toml", "items.json", "vectors.safetensors", "model"}
    assert {path.name for path in folder.iterdir()} == {"ratings.csv", "data", "run", "other"}


def test_evaluation_as_json_has_the_promised_keys(folder, evaluated):
    found = evaluated[0]
    assert set(found) >= METRICS | {"floors"}
    assert {"item mean", "user mean", "logistic regression"} <= set(found["floors"])
    assert all(set(floor) >= METRICS for floor in found["floors"].values())
    assert found["rows"] == 400
    assert json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8")) == found


def test_evaluation_as_text_is_one_table(evaluated):
    for text in ("AUC", "UAUC", "log loss", "ECE", "item mean", "recollect"):
        assert text in evaluated[1]


def test_recommend_explains(folder):
    shown = invoke(folder, "recommend", "run", "data", "--user", someone(folder), "--top", "3", "--explain")
    assert shown.exit_code == 0, shown.stderr
    assert "1. " in shown.stdout
    assert shown.stdout.count(", because of") == 3


def test_a_prompt_of_soft_tokens_is_shown_by_titles(folder):
    user, ratings = someone(folder), pl.read_csv(folder / "ratings.csv")
    item = ratings.row(0, named=True)
    shown = invoke(folder, "prompt", "show", "run", "data", "--user", user, "--item", str(item["movieId"]), "--json")
    told = json.loads(shown.stdout)
    assert told["text"].startswith("<begin>")
    assert told["text"].endswith(f"<{item['title']}>")
    assert all(f"<{event['title']}>" in told["text"] for event in told["shown"])
    assert told["pieces"][0] == "<begin>"
    assert told["pieces"][told["answered_at"]] == f"<{item['title']}>"
    assert told["text"].count("<like>") == sum(event["liked"] for event in told["shown"])


def test_recommend_knows_nothing_of_what_came_later(folder):
    user, ratings = someone(folder), pl.read_csv(folder / "ratings.csv")
    times = ratings.filter(pl.col("userId").cast(pl.String) == user)["timestamp"].sort().to_list()
    known = [
        json.loads(invoke(folder, "recommend", "run", "data", "--user", user, "--json", *at).stdout)["trace"]["known"]
        for at in ((), ("--at", str(times[5])), ("--at", str(times[0])))
    ]
    assert known == [len(times), sum(moment < times[5] for moment in times), 0]


def test_recommend_as_json_is_a_ranking(folder):
    asked = ("recommend", "run", "data", "--user", someone(folder), "--top", "5", "--json", "--at", "2013-05-01")
    ranking = json.loads(invoke(folder, *asked).stdout)
    assert [item["rank"] for item in ranking["items"]] == [1, 2, 3, 4, 5]
    assert all(0 < item["score"] < 1 and item["title"] for item in ranking["items"])


@pytest.mark.usefixtures("evaluated")
def test_two_seeds_are_compared(folder):
    found = json.loads(invoke(folder, "compare", "run", "other", "data", "--json").stdout)
    assert set(found) == {"first", "second", "difference"}
    assert found["first"]["rows"] == found["second"]["rows"] == 400
    assert "UAUC" in invoke(folder, "compare", "run", "other", "data").stdout


@pytest.fixture(scope="module")
def broken(folder):
    """Runs that no command can use: one lacks its weights, one has half of them, one is of another version."""
    for name in ("lacking", "half", "foreign"):
        (folder / name / "model").mkdir(parents=True)
        for file in (path for path in (folder / "run").rglob("*") if path.is_file()):
            (folder / name / file.relative_to(folder / "run")).write_bytes(file.read_bytes())
    (folder / "lacking" / "model" / "model.safetensors").unlink()
    weights = folder / "half" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    (folder / "foreign" / "run.json").write_text(json.dumps({**card(folder / "run"), "version": 99}))
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("recommend", "run", "data", "--user", "nobody"), 3, "nobody"),
        (("recommend", "lacking", "data", "--user", "1"), 4, "model.safetensors"),
        (("recommend", "half", "data", "--user", "1"), 4, "cannot be read"),
        (("recommend", "foreign", "data", "--user", "1"), 4, "version 99"),
        (("evaluate", "lacking", "data"), 4, "model.safetensors"),
        (("evaluate", "foreign", "data"), 4, "version 99"),
        (("evaluate", "data", "data"), 4, "no run in that folder"),
        (("compare", "run", "data", "data"), 2, "without a common evaluation"),
        (("recommend", "run", "data", "--user", "1", "--at", "tomorrow"), 2, "tomorrow"),
        (("tune", "data", "--out", "new", "--set", "tuning.epoch=1"), 2, "tuning.epoch"),
        (("tune", "data", "--out", "new", "--set", "tuning.epochs"), 2, "KEY=VALUE"),
        (("tune", "data", "--out", "new", "--recipe", "nonesuch"), 2, "nonesuch"),
        (("tune", "data", "--out", "new", "--until", "1999-01-01"), 2, "later than"),
        (("tune", "data", "--out", "new", "--protocol", "rella-ml1m"), 3, "rella-ml1m"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_told_with_its_exit_code(broken, arguments, code, told):
    finished = invoke(broken, *arguments)
    assert (finished.exit_code, finished.stdout) == (code, ""), finished.stderr
    assert told in finished.stderr
    assert "  do  " in finished.stderr
    assert not list(broken.glob("*new*"))


def start_tuning(folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start a tuning in a process of its own, and return it when its first checkpoint stands."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_INTERRUPTS, "tune", "data", "--out", "stopped", *QUICK, *OFTEN, *more],
        cwd=folder, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    begun = time.monotonic()
    while not (folder / ".stopped.tuning").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.002)
    return process


def test_a_tuning_that_was_killed_goes_on_to_the_same_weights(folder, recollect):
    process = start_tuning(folder)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "stopped").exists()
    finished = recollect("tune", "data", "--out", "stopped", *QUICK, *OFTEN, cwd=folder)
    assert finished.returncode == 0, finished.stderr
    assert card(folder / "stopped")["digest"] == card(folder / "run")["digest"]
    assert not (folder / ".stopped.tuning").exists()


def test_an_interrupt_leaves_with_130_and_no_half_written_run(folder):
    process = start_tuning(folder, "--set", "tuning.epochs=100")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (130, "")
    assert "nothing was left half-written" in stderr
    assert not list(folder.glob("*stopped*aside"))
    (folder / ".stopped.tuning").unlink()
