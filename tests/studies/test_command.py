"""`recollect study`: a table or JSON on stdout, a page beside it, and what is refused."""

import json
import re

import pytest
from typer.testing import CliRunner
from worlds import small_block

from recollect.cli.app import build
from recollect.recipe import dump_recipe
from recollect.studies.result import StudyResult


@pytest.fixture(scope="module")
def data(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "world"
    world.save(folder)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder for all studies of the tiny method, so that it is tuned once."""
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(data, arm, out):
    """Run a study of the tiny method."""

    def run(name: str, *more: str):
        command = ["study", name, str(data), "--out", str(out), "--recipe", arm.recipe, "--rows", "30", *more]
        return CliRunner().invoke(build(), command)

    return run


def test_json_is_what_the_folder_keeps(study):
    done = study("delay", "--delays", "0,60", "--per-user", "1", "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert "at most 1 of each" in result["facts"]["rows asked"]
    assert (result["study"], result["axis"]) == ("delay", "delay")
    assert {point["series"] for point in result["points"] if not point["floor"]} == {"tiny"}


BY_PLACE, BY_COST = ("AUC by",), ("AUC against operations of tuning", "AUC against tokens per answered row")
EVERY = {
    "periods": (("--periods", "4", "--ends", "0,1"), ["tiny to D0", "tiny to D1"], ["D1", "D2", "D3"], BY_PLACE),
    "delay": (("--delays", "0,60"), ["tiny"], ["none", "1 min"], BY_PLACE),
    "shots": (("--sizes", "64,128"), ["tiny"], ["64", "128"], BY_PLACE),
    "history": (("--shown", "0,2"), ["tiny, K recent events"], ["0", "2"], BY_PLACE),
    "controls": ((), ["tiny"], ["as is", "without events"], BY_PLACE),
    "efficiency": ((), ["tiny"], ["1"], BY_COST),
}
"""Of each study: options, lines of its table, columns, and plots."""


@pytest.mark.parametrize("name", EVERY)
def test_every_study_ends_in_a_table_numbers_and_plots(name: str, study, out):
    options, series, places, plots = EVERY[name]
    done = study(name, *options)
    assert done.exit_code == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith((*series, "logistic regression"))]
    assert all(sum(line.startswith(one) for line in shown) >= 2 for one in series)  # quality, and what it cost
    assert any(all(place in line for place in places) for line in done.stdout.splitlines())
    result = StudyResult.from_json((out / "study.json").read_text(encoding="utf-8"))
    assert result.study == name
    assert result.places == places
    methods = [point for point in result.points if not point.floor]
    assert {point.series for point in methods} == {*series}
    assert all(point.auc is not None and point.tuning_flops for point in methods)
    assert result.at("logistic regression", places[0]) or result.at("logistic regression to D0", places[0])
    page = out / "study.html"
    assert str(page) in "".join(done.stdout.split())
    figures = re.findall(r"<figure.*?</figure>", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for plot in plots:
        (drawn,) = (figure for figure in figures if plot in figure.replace("UAUC", ""))
        assert "<svg" in drawn
        assert all(one in drawn for one in (series if len(series) > 1 else places))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--delays", "0,soon"), "--delays is no list of numbers"),
        (("--seeds", "1,1"), "--seeds is no list of numbers"),
        (("--recipe", "nonesuch"), "no such recipe"),
        (("--set", "tuning.epoch=1"), "tuning.epoch"),
    ],
)
def test_what_makes_no_sense_is_refused(study, options, told):
    done = study("delay", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_study_needs_a_method(data, tmp_path):
    done = CliRunner().invoke(build(), ["study", "delay", str(data), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "got       none" in done.stderr


@pytest.mark.parametrize("choices", ["recent,nearest", "recent,recent", ""])
def test_ways_of_choosing_that_do_not_exist_are_refused(study, choices):
    done = study("demonstrations", "--choices", choices)
    assert done.exit_code == 2
    assert "some of recent, similar, random, effect, rerank" in done.stderr


def test_two_persons_may_share_each_account(data, tmp_path):
    recipe = tmp_path / "paper.toml"
    recipe.write_text(dump_recipe(small_block("recicl", "tuning.rows=60")), encoding="utf-8")
    asked = ["--recipe", str(recipe), "--rows", "20", "--counts", "1", "--choices", "recent", "--shared-accounts"]
    done = CliRunner().invoke(build(), ["study", "demonstrations", str(data), "--out", str(tmp_path / "out"), *asked])
    assert done.exit_code == 0, done.stderr
    assert "two persons share each account" in done.stdout
    assert "paper, recent" in done.stdout
    result = StudyResult.from_json((tmp_path / "out" / "study.json").read_text(encoding="utf-8"))
    assert result.study == "demonstrations"
    assert result.at("paper, recent", "1") is not None
    assert "<svg" in (tmp_path / "out" / "study.html").read_text(encoding="utf-8")
