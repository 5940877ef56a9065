"""Whoever answers the rows of a cell: a tuned model, or a floor.

It decides that tuning and showing are two recipes: a model is tuned by the first, once, and shown by the second, so
that a study of what is shown compares the same weights.

Dimension letters: R rows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int64

from recollect.baselines.floors import FLOORS, fit_floors
from recollect.data.dataset import Dataset
from recollect.data.past import Past, PastRule
from recollect.data.splits import Split
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.replay import replay
from recollect.progress import Progress
from recollect.rank.assess import predict
from recollect.recipe import Recipe, dump_recipe
from recollect.run.sources import digest_of_sources
from recollect.run.tuned import read_card
from recollect.studies.cost import TuningCost, tokens_per_row
from recollect.studies.keys import key_of
from recollect.studies.runs import Runs


class Answered(NamedTuple):
    """Predictions, the seconds they took, tokens per row, and what tuning took; None where there is no such thing."""

    predictions: Predictions
    seconds: float
    tokens: float | None = None
    tuning: TuningCost | None = None


class Method(Protocol):
    """Answer rows of a log."""

    @property
    def identity(self) -> str:
        """A text that differs wherever an answer may differ, on one dataset."""
        ...

    @property
    def group(self) -> str:
        """The same text for methods that share a model."""
        ...

    def answer(self, rows: Int64[np.ndarray, " R"], *, runs: Runs, progress: Progress) -> Answered:
        """Give the probability of a like for each row."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class TunedMethod:
    """A model tuned by one recipe and shown by another.

    Parameters
    ----------
    tuned_by, shown_by : Recipe
        They may differ in what is shown: past, history, demonstrations, controls.
    split : Split
        Rows to learn from and to choose by.
    seed : int
        Of the tuning.
    blind : bool
        Whether the user's events are hidden.
    run : Path, optional
        A run that is there already; nothing is tuned then.
    """

    tuned_by: Recipe
    shown_by: Recipe
    split: Split
    seed: int
    blind: bool = False
    run: Path | None = None

    @property
    def identity(self) -> str:
        """Weights, recipe of showing with the local models that it names, and whether events are hidden.

        Raises
        ------
        RecollectError
            If the run or a file of a local model cannot be read.
        """
        if self.run is None:
            weights = self.run_key
        else:
            card = read_card(self.run)
            weights = f"{card['digest']} {card['calibration']}"
        return f"{weights} {dump_recipe(self.shown_by.wordless())} {digest_of_sources(self.shown_by)} {self.blind}"

    @property
    def group(self) -> str:
        """The run."""
        return self.run_key if self.run is None else str(self.run)

    @property
    def run_key(self) -> str:
        """The name of a run of this study, among those of one dataset.

        Raises
        ------
        RecollectError
            If a file of a local model cannot be read.
        """
        recipe, sources = dump_recipe(self.tuned_by.wordless()), digest_of_sources(self.tuned_by)
        return key_of(recipe, sources, self.split.train, self.split.valid, str(self.seed))

    def answer(self, rows: Int64[np.ndarray, " R"], *, runs: Runs, progress: Progress) -> Answered:
        """Tune if need be, and replay the rows through the code that serves.

        Raises
        ------
        RecollectError
            If the model cannot be tuned or read, or cannot answer.
        """
        if self.run is None:
            tuned, cost = runs.tuned(self.run_key, self.tuned_by, self.split, seed=self.seed, progress=progress)
        else:
            tuned, cost = runs.given(self.run), None
        shown = replace(tuned, recipe=self.shown_by)
        timed = predict(shown, runs.dataset, rows, blind=self.blind, progress=progress)
        tokens = tokens_per_row(shown, runs.dataset, rows, blind=self.blind)
        return Answered(timed.predictions, timed.seconds, tokens, cost)


@dataclass(frozen=True, eq=False, slots=True)
class FloorMethod:
    """A conventional predictor of `recollect.baselines.floors`, fitted on the rows given."""

    name: str
    train: Int64[np.ndarray, " N"]
    rule: PastRule

    @property
    def identity(self) -> str:
        """Name, rule and rows."""
        return f"{self.name} {self.rule} {key_of(self.train)}"

    @property
    def group(self) -> str:
        """Floors share no model, and none of them is dear."""
        return "floors"

    def answer(self, rows: Int64[np.ndarray, " R"], *, runs: Runs, progress: Progress) -> Answered:  # noqa: ARG002
        """Fit the floor and replay the rows.

        Raises
        ------
        DataError
            If there is nothing to fit on.
        """
        dataset: Dataset = runs.dataset
        past = Past(dataset.log, self.rule)
        floor = fit_floors(past, train=self.train, floors={self.name: FLOORS[self.name]})[self.name]
        begun = time.perf_counter()
        predictions = replay(dataset, rows, floor, past=past)
        return Answered(predictions, time.perf_counter() - begun)
