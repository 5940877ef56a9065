"""Assess runs: replay a part of the log through the model that serves, and set it beside the floors.

It decides what `evaluate` leaves in the run folder: `metrics.json` (the JSON that it prints) and one file of
predictions per protocol and part, which is what `compare` reads. Two runs are compared on the rows that both were
evaluated on, the test part before the validation part.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, Int64

from recollect.baselines.floors import fit_floors
from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.data.past import Past
from recollect.data.protocols import resolve
from recollect.data.splits import Split, rows_of_some_users, split_until
from recollect.errors import DataError, UsageError
from recollect.evaluation.compare import Comparison
from recollect.evaluation.compare import compare as compare_predictions
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.replay import Scorer, replay
from recollect.evaluation.result import Evaluation
from recollect.evaluation.summary import Occasion, Timed, summarise
from recollect.model.ways import use_way
from recollect.progress import SILENT, Progress
from recollect.run.answering import RowAnswerer
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel

Part = Literal["valid", "test"]
METRICS_FILE: Final = "metrics.json"
_UNTIL: Final = "until "


@dataclass(frozen=True, eq=False, slots=True)
class Assessment:
    """Hold what an evaluation found, and the predictions that it rests on."""

    result: Evaluation
    predictions: Predictions


def evaluate(
    run: Path,
    dataset: Dataset,
    *,
    protocol: str | None = None,
    part: Part = "valid",
    rows: int = 0,
    way: str | None = None,
    progress: Progress = SILENT,
) -> Assessment:
    """Replay a part of the log, and measure the run, the run without the user's events, and the floors.

    Parameters
    ----------
    run : Path
        A run folder; `metrics.json` and the predictions are written there.
    dataset : Dataset
        The log that the run was tuned on, or one with the same items.
    protocol : str, optional
        How the log is split; by default as for tuning.
    part : {"valid", "test"}
        Which part.
    rows : int
        About how many of its rows, of whole users and the same for every run; 0 for all.
    way : str, optional
        How the model is run (`recollect.model.ways`), to see what fewer bits do to quality; it is named with the run.
    progress : Progress
        Is told how many rows are answered.

    Raises
    ------
    DataError
        If the part has no rows.
    UsageError
        If there is no such protocol or way.
    RunNotFound, RunVersion, ModelError
        If the run cannot be read, or not in that way.
    """
    tuned = TunedModel.load(run).fitted_to(dataset.catalog)
    if way is not None:
        use_way(tuned.language_model.eval(), way)
    split = split_of(tuned, dataset, protocol=protocol)
    asked = split.valid if part == "valid" else split.test
    if len(asked) == 0:
        raise DataError(
            f"the {part} part has no rows",
            got="; ".join(split.notes) or f"protocol {split.name}",
            expected="rows to answer",
            do=f"evaluate the {'test' if part == 'valid' else 'valid'} part, or another protocol",
        )
    asked = rows_of_some_users(dataset.log, asked, wanted=rows) if rows else asked
    past = Past(dataset.log, tuned.recipe.past.rule())
    floors = {
        name: _timed(dataset, asked, floor, past=past) for name, floor in fit_floors(past, train=split.train).items()
    }
    with_events = predict(tuned, dataset, asked, progress=progress)
    without = predict(tuned, dataset, asked, blind=True, progress=progress)
    name = run.name if way is None else f"{run.name} ({way})"
    occasion = Occasion(run=name, protocol=split.name, part=part)
    result = summarise(occasion, with_events, floors=floors, without_events=without)
    with_events.predictions.save(run / _predictions_file(split.name, part))
    (run / METRICS_FILE).write_text(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Assessment(result, with_events.predictions)


def predict(
    tuned: TunedModel,
    dataset: Dataset,
    rows: Int64[np.ndarray, " R"],
    *,
    blind: bool = False,
    progress: Progress = SILENT,
) -> Timed:
    """Let a tuned model answer rows of a log in time order, as it would have served them.

    Parameters
    ----------
    tuned : TunedModel
        Set to the dataset's catalog; its recipe says what is shown.
    dataset : Dataset
        The whole log: earlier events of any part are known when a row is answered.
    rows : Int64[R]
        Rows of the log.
    blind : bool
        Whether the users' events are hidden.
    progress : Progress
        Is told how many rows are answered.

    Raises
    ------
    DataError
        If there is no row, or a row repeats.
    LeakError
        If a row would see an event of its own instant or later.
    """
    rule = tuned.recipe.past.rule()
    context = Context(dataset.log, rule=rule, prior=tuned.prior)
    answerer = RowAnswerer(tuned, context, make_prompter(tuned, dataset), blind=blind)
    label = "replaying without the users' events" if blind else "replaying with the users' events"
    return _timed(dataset, rows, _Told(answerer, progress, label), past=context.past)


def compare(run_a: Path, run_b: Path, dataset: Dataset) -> Comparison:
    """Compare two evaluated runs on the rows that both answered: first minus second, paired by user.

    Parameters
    ----------
    run_a, run_b : Path
        Run folders that `evaluate` has been run on.
    dataset : Dataset
        The log, to check that the predictions are of it.

    Raises
    ------
    UsageError
        If there is no protocol and part that both were evaluated on.
    DataError
        If the predictions are of other rows or of another log.
    """
    of_a, of_b = ({file.name for file in run.glob("predictions-*.parquet")} for run in (run_a, run_b))
    shared = sorted(of_a & of_b)
    if not shared:
        raise UsageError(
            "two runs without a common evaluation",
            got=f"{sorted(of_a) or 'nothing'} and {sorted(of_b) or 'nothing'}",
            expected="one protocol and part that both were evaluated on",
            do="run `recollect evaluate` on both with the same --protocol and --part",
        )
    file = next((name for name in shared if name.endswith("-test.parquet")), shared[0])
    first, second = Predictions.load(run_a / file), Predictions.load(run_b / file)
    _require_rows_of(dataset, first)
    return compare_predictions(first, second)


def split_of(tuned: TunedModel, dataset: Dataset, *, protocol: str | None) -> Split:
    """Split a dataset by a protocol, or as the run was tuned.

    Raises
    ------
    UsageError
        If there is no such protocol.
    """
    name = protocol or str(tuned.card.get("protocol", "time"))
    if name.startswith(_UNTIL):
        return split_until(dataset.log, int(name.removeprefix(_UNTIL)))
    return resolve(name)(dataset)


@dataclass(frozen=True, eq=False, slots=True)
class _Told:
    """A scorer that tells a progress how far it is."""

    answerer: RowAnswerer
    progress: Progress
    label: str

    def score(self, rows: Int64[np.ndarray, " R"]) -> Float64[np.ndarray, " R"]:
        self.progress.start(self.label, len(rows))
        told: Callable[[int], None] = self.progress.advance
        probability = self.answerer.telling(told).score(rows)
        self.progress.finish(f"{len(rows):,} rows")
        return probability


def _timed(dataset: Dataset, rows: Int64[np.ndarray, " R"], scorer: Scorer, *, past: Past) -> Timed:
    begun = time.perf_counter()
    predictions = replay(dataset, rows, scorer, past=past)
    return Timed(predictions, time.perf_counter() - begun)


def _predictions_file(protocol: str, part: str) -> str:
    return f"predictions-{protocol.replace(' ', '-')}-{part}.parquet"


def _require_rows_of(dataset: Dataset, predictions: Predictions) -> None:
    rows, log = predictions.rows, dataset.log
    fits = len(rows) == 0 or (
        int(rows[-1]) < len(log)
        and np.array_equal(log.time[rows], predictions.time)
        and np.array_equal(log.label[rows], predictions.label)
    )
    if not fits:
        raise DataError(
            "predictions of another log",
            got="rows whose times or labels differ from the data folder",
            expected="the data folder that the runs were evaluated on",
            do="give that folder, or evaluate again",
        )
