"""What every study is asked for: its methods, its rows, its seeds; and how they become a design.

It decides that `--backbone` and `--preset` hold for all recipes, a backbone where the layout is one of text; and that
a study of runs is asked about the rows that its first run was tuned for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recollect.cli.tune import shorthands
from recollect.errors import UsageError

if TYPE_CHECKING:
    from recollect.context.demonstrations import Choice
    from recollect.data.dataset import Dataset
    from recollect.studies.design import Arm, Design

Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder of the study; one that was stopped goes on there.")
]
Recipes = Annotated[
    list[str] | None,
    typer.Option("--recipe", metavar="R", help="A method: name of a recipe, or its TOML file; may be given again."),
]
Runs = Annotated[
    list[Path] | None,
    typer.Option("--run", metavar="RUN", help="A run that is there already, as a method; may be given again."),
]
Backbone = Annotated[
    str | None,
    typer.Option("--backbone", metavar="MODEL", help="A causal language model for all recipes of the block layout."),
]
Seeds = Annotated[str, typer.Option("--seeds", metavar="N,N", help="Seeds of the tunings; numbers are their means.")]
Asked = Annotated[int, typer.Option("--rows", metavar="N", min=1, help="Answer about N rows.")]
PerUser = Annotated[
    int, typer.Option("--per-user", metavar="N", min=0, help="Ask at most N rows of a user, of more users; 0 for all.")
]
PartName = Annotated[
    Literal["valid", "test"], typer.Option("--part", help="The part to measure; choose anything only on valid.")
]


@dataclass(frozen=True, slots=True)
class Methods:
    """The options that say which methods are compared."""

    recipes: list[str]
    preset: str | None
    backbone: str | None
    override: list[str]
    runs: list[Path]


@dataclass(frozen=True, slots=True)
class Question:
    """The options that say what they are asked."""

    seeds: str
    rows: int
    per_user: int
    protocol: str | None = None
    part: Literal["valid", "test"] = "valid"
    shared_accounts: bool = False


def design_of(dataset: "Dataset", methods: Methods, question: Question) -> "Design":
    """Make the design of a study from its options.

    Raises
    ------
    UsageError
        If there is no method, or an option makes no sense.
    RunNotFound, RunVersion, ModelError
        If a run cannot be read.
    """
    from recollect.data.accounts import share_accounts
    from recollect.data.protocols import resolve
    from recollect.rank.assess import split_of
    from recollect.run.tuned import TunedModel
    from recollect.studies.design import Arm, Design

    arms = [*map(Arm.of_run, methods.runs), *(_arm(recipe, methods) for recipe in methods.recipes)]
    if methods.runs:
        split = split_of(TunedModel.load(methods.runs[0]), dataset, protocol=question.protocol)
    else:
        split = resolve(question.protocol or "time")(dataset)
    if question.shared_accounts:
        dataset, split = share_accounts(dataset, split)
    return Design(
        dataset,
        tuple(arms),
        split,
        part=question.part,
        seeds=numbers_in(question.seeds, option="--seeds"),
        rows=question.rows,
        per_user=question.per_user,
    )


def _arm(recipe: str, methods: Methods) -> "Arm":
    """Make the arm of a recipe; a language model is set where its layout is one of text."""
    from recollect.prompt.block import BlockSettings
    from recollect.recipe import load_recipe
    from recollect.studies.design import Arm

    plain = load_recipe(recipe, preset=methods.preset)
    backbone = shorthands(methods.backbone, None) if isinstance(plain.layout, BlockSettings) else []
    return Arm(Path(recipe).stem, recipe, methods.preset, (*backbone, *methods.override))


def choices_in(text: str, *, option: str) -> "tuple[Choice, ...]":
    """Read ways of choosing demonstrations with commas between them.

    Raises
    ------
    UsageError
        If something else stands there.
    """
    from recollect.studies.demonstrations import CHOICES

    names = text.split(",")
    chosen: tuple[Choice, ...] = tuple(choice for choice in CHOICES if choice in names)
    if len(chosen) != len(names):
        raise UsageError(
            f"{option} names no ways of choosing",
            got=text,
            expected=f"some of {', '.join(CHOICES)}, each once",
            do="separate with commas",
        )
    return chosen


def numbers_in(text: str, *, option: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them.

    Raises
    ------
    UsageError
        If something else stands there.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (-1,)
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise UsageError(
            f"{option} is no list of numbers", got=text, expected="such as 0,1,2, each once", do="separate with commas"
        )
    return numbers
