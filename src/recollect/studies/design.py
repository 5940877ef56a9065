"""The design of a study: which arms are compared, on which rows, with which seeds.

It decides that all cells of one part are asked about the same rows: users drawn by one fixed seed until there are rows
enough, whole or some rows of each, so that every comparison is paired; and that the floors stand in every study, fitted
on what the arms learn from.

Dimension letters: N rows of a part, R rows asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32, Int64

from recollect.baselines.floors import FLOORS
from recollect.data.dataset import Dataset
from recollect.data.past import PastRule
from recollect.data.splits import Split, rows_of_some_users
from recollect.errors import DataError, UsageError
from recollect.rank.assess import Part
from recollect.recipe import Recipe, load_recipe
from recollect.studies.grid import Cell
from recollect.studies.methods import FloorMethod, TunedMethod

ROWS: Final = 10_000
_DRAWN_BY: Final = 0


@dataclass(frozen=True, slots=True)
class Arm:
    """One method of a study: a recipe with its changes, or a run that is there already.

    Parameters
    ----------
    name : str
        What tables call it.
    recipe : str
        Name or file of the recipe, as for `load_recipe`.
    preset : str, optional
        A preset of it.
    overrides : tuple of str
        Texts such as ``tuning.epochs=3``.
    run : Path, optional
        The run; its own recipe then stands in `recipe`.
    """

    name: str
    recipe: str
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    run: Path | None = None

    @classmethod
    def of_run(cls, run: Path) -> Arm:
        """Make the arm of a run folder."""
        return cls(name=run.name, recipe=str(run / "recipe.toml"), run=run)

    def resolve(self, *more: str) -> Recipe:
        """Read the recipe with all changes, and more of them.

        Raises
        ------
        UsageError
            If there is no such recipe, or a value does not fit.
        """
        return load_recipe(self.recipe, preset=self.preset, overrides=[*self.overrides, *more])


@dataclass(frozen=True, slots=True)
class Variant:
    """One place of a series: values set before tuning, values set when the tuned model is shown, or no events."""

    place: str
    tuning: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    blind: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Design:
    """Hold what a study is given.

    Parameters
    ----------
    dataset : Dataset
        The log with its catalog.
    arms : tuple of Arm
        At least one; names differ.
    split : Split
        Rows to learn from, to choose by and to report.
    part : {"valid", "test"}
        The part that is asked about.
    seeds : tuple of int
        Of the tuning; a run that is there already has its own.
    rows : int
        About how many rows are asked.
    per_user : int
        Most rows of one user, drawn at random, so that as many rows come from more users; 0 takes whole users.

    Raises
    ------
    UsageError
        If there is no arm or no seed, or one of them is there twice.
    """

    dataset: Dataset
    arms: tuple[Arm, ...]
    split: Split
    part: Part = "valid"
    seeds: tuple[int, ...] = (0,)
    rows: int = ROWS
    per_user: int = 0

    def __post_init__(self) -> None:
        for what, values in (("arms", [arm.name for arm in self.arms]), ("seeds", [*self.seeds])):
            if not values or len(set(values)) < len(values):
                raise UsageError(
                    f"{what} of a study that cannot be told apart",
                    got=values or "none",
                    expected="one or more, each once",
                    do="give each recipe, run and seed once",
                )

    @property
    def asked(self) -> Int64[np.ndarray, " R"]:
        """The rows of the part that are asked about.

        Raises
        ------
        DataError
            If the part has no rows.
        """
        return self.sample(self.split.valid if self.part == "valid" else self.split.test)

    @property
    def rule(self) -> PastRule:
        """What counts as known to the first arm, and to the floors."""
        return self.arms[0].resolve().past.rule()

    def sample(self, rows: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " R"]:
        """Draw users until there are rows enough; the same users and rows whatever the method.

        Raises
        ------
        DataError
            If there are no rows.
        """
        if len(rows) == 0:
            raise DataError(
                "a study without rows to ask about",
                got="; ".join(self.split.notes) or f"an empty part of protocol {self.split.name}",
                expected="rows to answer",
                do="choose the other part (--part), or another protocol",
            )
        log = self.dataset.log
        some = most_of_each(log.user[rows], most=self.per_user, seed=_DRAWN_BY) if self.per_user else slice(None)
        return rows_of_some_users(log, rows[some], wanted=self.rows, seed=_DRAWN_BY)

    def cells(
        self,
        arm: Arm,
        variants: Sequence[Variant],
        *,
        series: str | None = None,
        split: Split | None = None,
        rows: Int64[np.ndarray, " R"] | None = None,
    ) -> list[Cell]:
        """Make the cells of a series, one per seed and variant, named as the arm unless told otherwise.

        Raises
        ------
        UsageError
            If a value of a variant does not fit the arm's recipe.
        DataError
            If there are no rows to ask about.
        """
        asked = self.asked if rows is None else rows
        return [
            Cell(
                series=series or arm.name,
                place=variant.place,
                seed=seed,
                method=TunedMethod(
                    tuned_by=arm.resolve(*variant.tuning),
                    shown_by=arm.resolve(*variant.tuning, *variant.shown),
                    split=split or self.split,
                    seed=seed,
                    blind=variant.blind,
                    run=arm.run,
                ),
                rows=asked,
            )
            for seed in (self.seeds if arm.run is None else (0,))
            for variant in variants
        ]

    def floors(
        self,
        place: str,
        *,
        series: str = "{}",
        train: Int64[np.ndarray, " N"] | None = None,
        rows: Int64[np.ndarray, " R"] | None = None,
        rule: PastRule | None = None,
        seed: int = 0,
    ) -> list[Cell]:
        """Make the cells of all floors at one place; `series` is their name, with {} for that of the floor.

        Raises
        ------
        UsageError
            If the first arm has no recipe.
        DataError
            If there are no rows to ask about.
        """
        fitted_on = self.split.train if train is None else train
        asked = self.asked if rows is None else rows
        return [
            Cell(series.format(name), place, seed, FloorMethod(name, fitted_on, rule or self.rule), asked, floor=True)
            for name in FLOORS
        ]


def most_of_each(users: Int32[np.ndarray, " N"], *, most: int, seed: int) -> Int64[np.ndarray, " K"]:
    """Draw at most so many places of each user, ascending.

    Examples
    --------
    >>> most_of_each(np.array([7, 8, 7, 7], np.int32), most=3, seed=0).tolist()
    [0, 1, 2, 3]
    """
    order = np.random.default_rng(seed).permutation(len(users))
    order = order[np.argsort(users[order], kind="stable")]
    starts = np.searchsorted(users[order], users[order], side="left")
    return np.sort(order[np.arange(len(order)) - starts < most])
