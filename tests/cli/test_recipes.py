"""Recipes by the command line: listed, shown as files that load, and checked."""

import json

import pytest
from typer.testing import CliRunner

from recollect.cli.app import build
from recollect.cli.recipes import preset_names
from recollect.recipe import load_recipe, recipe_names

OWN = 'name = "own"\nsummary = "s"\nsource = "t"\n'


def recipes(*arguments: object):
    return CliRunner().invoke(build(), ["recipes", *map(str, arguments)])


def test_list_names_every_recipe_with_its_summary():
    listed = recipes("list").stdout.splitlines()
    assert [line.split()[0] for line in listed if line[0] != " "] == recipe_names()


def test_list_as_json_says_where_each_comes_from():
    listed = json.loads(recipes("list", "--json").stdout)
    assert [one["name"] for one in listed] == recipe_names()
    assert all(one["summary"] and one["source"] for one in listed)
    assert {one["name"]: one["presets"] for one in listed}["stream"] == ["tiny", "nano", "small"]


@pytest.mark.parametrize("name", recipe_names())
def test_what_is_shown_loads_as_the_same_recipe(name, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(recipes("show", name, "--set", "tuning.rows=64").stdout, encoding="utf-8")
    assert load_recipe(str(file)) == load_recipe(name, overrides=["tuning.rows=64"])


def test_show_applies_a_preset():
    shown = json.loads(recipes("show", "recicl", "--preset", "small", "--json").stdout)
    assert shown["tuning"]["rate"] == load_recipe("recicl", preset="small").tuning.rate != 5e-5


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_comes_along_is_fine_with_all_its_presets(name):
    checked = recipes("validate", name, "--json")
    told = json.loads(checked.stdout)
    assert told == {"name": name, "presets": preset_names(name), "fine": True, "notes": load_recipe(name).notes}


def test_what_a_recipe_needs_and_what_does_nothing_is_noted(tmp_path):
    (tmp_path / "own.toml").write_text(
        OWN + '[layout]\nkind = "block"\n[tuning]\nmethod = "lora"\n[presets.half.tuning]\noriginal = 0.5\n'
    )
    checked = recipes("validate", tmp_path / "own.toml")
    assert checked.exit_code == 0
    *_, first, second, rest = checked.stdout.splitlines()
    assert first.startswith("note     tuning.method lora needs a language model")
    assert second.startswith("note     with preset half: tuning.original 0.5 does nothing")
    assert rest.startswith("    ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OWN + "[tuning]\nepoch = 3\n", "tuning.epoch = 3"),
        (OWN + "[presets.big.tuning]\nepochs = 0\n", "with its preset big"),
        ('name = "own"', "no summary"),
        ("name = ", "not TOML"),
        (OWN + "presets = 3\n", "presets = 3"),
        (OWN + "[presets]\nbig = 3\n", "presets.big = 3"),
    ],
)
def test_what_does_not_fit_is_told_with_two(text, told, tmp_path):
    (tmp_path / "own.toml").write_text(text)
    checked = recipes("validate", tmp_path / "own.toml")
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert told in checked.stderr


@pytest.mark.parametrize("verb", ["show", "validate"])
def test_no_such_recipe_names_those_there_are(verb):
    asked = recipes(verb, "strem")
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "stream" in asked.stderr
