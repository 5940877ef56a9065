"""`recollect recipes`: the methods that come with the package, and those that people write.

It decides that what `show` prints is a whole recipe, every default written out, so that it is a file to start from.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import typer

from recollect.cli.options import AsJson, Overrides, PresetName
from recollect.cli.output import show, show_json, show_table
from recollect.errors import UsageError

HELP: Final = "List, show and check recipes: each is a method, as one TOML file."

EXAMPLES: Final = {
    "list": """Examples:

recollect recipes list

recollect recipes list --json""",
    "show": """Examples:

recollect recipes show recicl

recollect recipes show recicl --preset small --set demonstrations.count=8 > mine.toml""",
    "validate": """Examples:

recollect recipes validate mine.toml""",
}


def list_recipes(*, as_json: AsJson = False) -> None:
    """List the recipes that come with recollect."""
    from recollect.recipe import load_recipe, recipe_names

    recipes = [load_recipe(name) for name in recipe_names()]
    if as_json:
        rows = [(one.name, one.summary, one.source, preset_names(one.name)) for one in recipes]
        show_json([dict(zip(("name", "summary", "source", "presets"), row, strict=True)) for row in rows])
    else:
        show_table([(one.name, one.summary) for one in recipes])


def show_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a recipe, or its TOML file.")],
    *,
    preset: PresetName = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Print a recipe with every value written out, as TOML that `--recipe` takes."""
    from recollect.recipe import dump_recipe, load_recipe

    recipe = load_recipe(name, preset=preset, overrides=override or [])
    if as_json:
        show_json(recipe.model_dump(mode="json"))
    else:
        show(dump_recipe(recipe).rstrip())


def validate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A TOML file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check a recipe, with each of its presets, and note what it needs and what in it does nothing."""
    from recollect.recipe import load_recipe

    recipe, presets = load_recipe(file), preset_names(file)
    notes = recipe.notes
    for preset in presets:
        notes += [f"with preset {preset}: {note}" for note in _check_preset(file, preset) if note not in recipe.notes]
    if as_json:
        show_json({"name": recipe.name, "presets": presets, "fine": True, "notes": notes})
    else:
        facts = [("recipe", recipe.name), ("presets", ", ".join(presets) or "none"), ("check", "fine")]
        show_table([*facts, *(("note", note) for note in notes)])


def preset_names(name: str) -> list[str]:
    """Name the presets of a recipe that `load_recipe` reads, in the order of its file."""
    shipped = resources.files("recollect") / "recipes" / f"{name}.toml"
    file = shipped if shipped.is_file() else Path(name)
    return list(tomllib.loads(file.read_text(encoding="utf-8")).get("presets", {}))


def _check_preset(file: str, preset: str) -> list[str]:
    """Load a recipe with a preset, and return its notes.

    Raises
    ------
    UsageError
        If it does not fit; the message names the preset.
    """
    from recollect.recipe import load_recipe

    try:
        return load_recipe(file, preset=preset).notes
    except UsageError as error:
        what = f"{error.what}, with its preset {preset}"
        raise UsageError(what, got=error.got, expected=error.expected, do=error.do) from error
