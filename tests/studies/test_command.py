"""`recollect study`: a table or JSON on stdout, a page beside it, and what is refused."""

import json

import pytest
from typer.testing import CliRunner
from worlds import small_block

from recollect.cli.app import build
from recollect.recipe import dump_recipe


@pytest.fixture(scope="module")
def data(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "world"
    world.save(folder)
    return folder


@pytest.fixture(scope="module")
def study(data, arm, tmp_path_factory):
    """Run a study of the tiny method; all in one folder, so that it is tuned once."""
    out = tmp_path_factory.mktemp("study")

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


def test_the_table_names_every_place_and_the_page(study):
    done = study("controls")
    assert done.exit_code == 0, done.stderr
    assert "without events" in done.stdout
    assert "study.html" in done.stdout
    assert "logistic regression" in done.stdout


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
