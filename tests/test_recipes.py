"""The words of recipes: each names its paper and its departures and says what its values do; the page has every key."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from recollect.recipe import Recipe, dump_recipe, load_recipe, recipe_names

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
EXPERIMENTS = sorted((ROOT / "docs/experiments/recipes").glob("*.toml"))
FILES = [*(ROOT / f"src/recollect/recipes/{name}.toml" for name in recipe_names()), *EXPERIMENTS]
FROM_RELLA = {"history.shown", "vectors.text"}
DIFFERS = {
    "recicl-last": ("recicl", {"tuning.supervise"}),
    "rella-mixed": ("rella", FROM_RELLA),
    "rella-retrieved": ("rella", FROM_RELLA | {"tuning.original"}),
    "rella-recent-tuned": ("rella", FROM_RELLA | {"tuning.original", "history.choice"}),
}

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def words(file: Path) -> tuple[Recipe, str, str]:
    """Give a recipe, its words up to the departures, and all its words, each on one line."""
    recipe = load_recipe(str(file))
    text = " ".join(f"{recipe.summary} {recipe.source}".split())
    return recipe, text.partition("Departures")[0], text


def values(recipe: Recipe) -> dict[str, Any]:
    tables = recipe.model_dump(mode="json").items()
    return {f"{name}.{key}": value for name, table in tables if isinstance(table, dict) for key, value in table.items()}


@each_file
def test_a_source_names_its_paper_and_its_departures(file):
    recipe, head, _ = words(file)
    assert re.search(r"arXiv \d{4}\.\d{5}|[Oo]ur own", head)
    assert "\nDepartures:" in recipe.source


@each_file
def test_words_say_what_the_values_do(file):
    recipe, head, text = words(file)
    shown, solved, tuning = recipe.history, recipe.demonstrations, recipe.tuning
    nearest = shown.choice != "recent" or solved.choice in {"similar", "rerank"}
    assert ("nearest" in recipe.summary) == nearest
    assert ("mixture" in recipe.summary) == (0 < tuning.original < 1)
    assert "LoRA" not in head or tuning.method == "lora"
    assert "hidden states" not in head or recipe.vectors.text == "backbone"
    assert "n-grams" not in text or recipe.vectors.text == "ngrams"
    assert not re.search(r"every answer of a prompt|all answers are supervised", text) or tuning.supervise == "all"
    assert {int(count) for count in re.findall(r"(\d+) (?:most recent )?(?:rated )?(?:events|likes)", head)} <= {
        shown.shown
    }
    assert {int(count) for count in re.findall(r"(\d+) (?:demonstrations|solved)", head)} <= {solved.count}


@each_file
def test_numbers_of_the_source_are_those_of_the_file_or_a_preset(file):
    presets = list(tomllib.loads(file.read_text(encoding="utf-8")).get("presets", {}))
    tunings = [load_recipe(str(file), preset=preset).tuning for preset in (None, *presets)]
    _, _, text = words(file)
    assert {float(rate) for rate in re.findall(r"\brate (\de-\d)", text)} <= {one.rate for one in tunings}
    batches = {int(count.replace(",", "")) for count in re.findall(r"batches of ([\d,]+) tokens", text)}
    assert batches <= {one.batch_tokens for one in tunings}
    assert file in EXPERIMENTS or all(preset in text for preset in presets)


@each_file
def test_values_that_a_source_advises_can_be_set(file):
    _, _, text = words(file)
    advised = re.findall(r"`([a-z_.]+)=([^` ]+)`", text)
    load_recipe(str(file), overrides=["=".join(pair) for pair in advised])
    assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", text)) <= set(values(load_recipe(str(file))))


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_a_recipe_of_an_experiment_differs_from_its_parent_as_it_says(file):
    parent, keys = DIFFERS[file.stem]
    for preset in (None, "small"):
        ours, theirs = (values(load_recipe(name, preset=preset)) for name in (str(file), parent))
        assert {key for key in ours if ours[key] != theirs[key]} == keys
    told = re.search(r"in (one|two|three|four) values?", load_recipe(str(file)).source)
    assert told is not None
    assert told.group(1) == ("one", "two", "three", "four")[len(keys) - 1]


def classes(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the settings classes of a table, several where its kind chooses."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from classes(part)


def test_the_page_explains_every_key_and_no_other():
    told: dict[frozenset[str], list[str]] = {}
    for section in re.split(r"^### ", PAGE.partition("## The studies")[0], flags=re.MULTILINE)[1:]:
        tables = frozenset(re.findall(r"`\[(\w+)\]`", section.partition("\n")[0]))
        cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        told[tables] = sorted(key for cell in cells for key in re.findall(r"`(\w+)`", cell))
    known = {
        name: {key for one in classes(field.rebuild_annotation()) for key in one.model_fields}
        for name, field in Recipe.model_fields.items()
    }
    assert {name for tables in told for name in tables} == {name for name, keys in known.items() if keys}
    assert told == {tables: sorted(set().union(*(known[name] for name in tables))) for tables in told}


def test_the_page_lists_every_recipe_in_a_short_space():
    rows = re.findall(r"^\| `([\w-]+)` \| .* \| .* \| .* \|$", PAGE, re.MULTILINE)
    assert sorted(rows) == recipe_names()
    assert len(PAGE.splitlines()) < 180


@pytest.mark.parametrize("override", re.findall(r"(?:--set |`)([a-z]+\.[a-z_]+=[^\s`]+)", PAGE))
def test_values_that_the_page_sets_can_be_set(override):
    recipe = load_recipe("rella", overrides=[override])
    key, _, value = override.partition("=")
    assert str(values(recipe)[key]).casefold() == value


def test_a_source_of_several_lines_is_shown_line_by_line():
    recipe = load_recipe("recicl")
    assert recipe.source in dump_recipe(recipe)
