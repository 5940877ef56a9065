"""The runs of a study: tuned where there is none yet, each in its folder, the last one kept in memory.

It decides that a run folder that is there is whole (`TunedModel.save` writes it so) and is never tuned again, and that
a tuning that was stopped goes on from its checkpoint. What a tuning took stands in a file beside its folder.
"""

from __future__ import annotations

import time
from pathlib import Path

from recollect.data.dataset import Dataset
from recollect.data.splits import Split
from recollect.evaluation.page import write_aside
from recollect.progress import Progress
from recollect.recipe import Recipe
from recollect.run.tuned import TunedModel
from recollect.studies.cost import TuningCost, tuning_cost
from recollect.studies.keys import key_of
from recollect.tuning.run import tune


class Runs:
    """Give tuned models by their key.

    Parameters
    ----------
    dataset : Dataset
        What they are tuned on.
    folder : Path
        Where they are kept.
    data : str
        Key of the dataset, which is part of the name of every run.
    """

    def __init__(self, dataset: Dataset, folder: Path, *, data: str) -> None:
        self.dataset = dataset
        self.folder = folder
        self.data = data
        self._last: tuple[Path, TunedModel] | None = None

    def tuned(
        self, key: str, recipe: Recipe, split: Split, *, seed: int, progress: Progress
    ) -> tuple[TunedModel, TuningCost]:
        """Give the run of a key and what it took, tuning it if it is not there.

        Raises
        ------
        RecollectError
            If it cannot be tuned, written or read.
        """
        name = key_of(self.data, key)
        folder, note = self.folder / name, self.folder / f"{name}.json"
        seconds = None
        if not (folder / "run.json").is_file():
            self._last = None  # free its memory before another model needs room
            self.folder.mkdir(parents=True, exist_ok=True)
            begun = time.perf_counter()
            tune(self.dataset, out=folder, recipe=recipe, split=split, seed=seed, progress=progress)
            seconds = time.perf_counter() - begun
        tuned = self.given(folder)
        if not note.is_file():
            cost = tuning_cost(tuned, self.dataset, split=split, seed=seed, seconds=seconds)
            write_aside(note, cost.model_dump_json(indent=2) + "\n")
        return tuned, TuningCost.model_validate_json(note.read_text(encoding="utf-8"))

    def given(self, folder: Path) -> TunedModel:
        """Give the run of a folder, set to the catalog at hand.

        Raises
        ------
        RunNotFound, RunVersion, ModelError
            If it cannot be read.
        """
        if self._last is None or self._last[0] != folder:
            self._last = None
            self._last = folder, TunedModel.load(folder).fitted_to(self.dataset.catalog)
        return self._last[1]
