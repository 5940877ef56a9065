"""One person and one run, as `recollect demos` asks about them.

It decides that everything known of the person is known to the report, and that a run whose recipe shows no
demonstrations is measured with `ASSUMED` of them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from recollect.context.demonstrations import choose_demonstrations
from recollect.context.effect_report import DemonstrationReport, report_demonstrations
from recollect.context.effect_stages import Optimiser
from recollect.context.effect_watch import Watch, Watcher
from recollect.context.effects import Pool, Served, make_pool
from recollect.context.evidence import Context, Timeline
from recollect.data.dataset import Dataset
from recollect.run.effect_layouts import LayoutComparer, LayoutComparison
from recollect.run.effects import BlockMeasure
from recollect.run.effects_served import ServedMeasure
from recollect.run.prompting import make_measure
from recollect.run.tuned import TunedModel

ASSUMED: Final = 4
"""Demonstrations of a recipe that shows none, for comparison."""


@dataclass(frozen=True, eq=False, slots=True)
class Person:
    """Hold a run, set to a dataset, with what is known of one person."""

    tuned: TunedModel
    dataset: Dataset
    measure: BlockMeasure
    context: Context
    line: Timeline

    @classmethod
    def load(cls, run: Path, data: Path, user: str) -> Self:
        """Read all.

        Raises
        ------
        UsageError
            If the run's layout has no separate demonstrations.
        UnknownUser
            If there is no such user.
        RunNotFound, RunVersion, ModelError
            If the run cannot be read, or its answers not told apart.
        """
        dataset = Dataset.load(data)
        code = dataset.users.code(user)

        tuned = TunedModel.load(run).fitted_to(dataset.catalog)
        measure = make_measure(tuned, dataset)
        context = Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
        return cls(tuned, dataset, measure, context, context.timeline(code))

    @property
    def count(self) -> int:
        """How many demonstrations a set has."""
        return self.tuned.recipe.demonstrations.count or ASSUMED

    @property
    def note(self) -> str:
        """What the run itself shows."""
        solved, name = self.tuned.recipe.demonstrations, self.tuned.recipe.name
        if not solved.count:
            return f"the recipe {name} shows no demonstrations: this is what they would do"
        return f"the recipe {name} shows {solved.count} demonstrations, chosen as {solved.choice}"

    @property
    def served(self) -> Served:
        """What asks in the prompt that is served."""
        return ServedMeasure(self.measure).predictions

    def optimiser(self) -> Optimiser:
        """Make what chooses sets by their effect, with the settings of the recipe."""
        return Optimiser(self.measure, self.tuned.recipe.effects, self.count, served=self.served)

    def shown(self) -> Collection[int] | None:
        """Return the places of the events that a question of now shows; None where that depends on its item."""
        solved, known = self.tuned.recipe.demonstrations, len(self.line)
        if not solved.is_shared:
            return None
        if solved.count and solved.choice == "effect":
            return self.optimiser().chosen(self.line, known).places.tolist()
        return choose_demonstrations(self.line, known, solved).tolist()

    def report(self, *, exact: bool) -> DemonstrationReport:
        """Measure all candidates, each and together.

        Parameters
        ----------
        exact : bool
            Whether to measure each alone and left out too.

        Raises
        ------
        UsageError
            If too little is known of the person.
        ModelError
            If the model cannot measure demonstrations.
        """
        return report_demonstrations(self.measure, self.pool(), self.dataset.catalog, shown=self.shown(), exact=exact)

    def layouts(self) -> LayoutComparison:
        """Compare what is measured with what is served; raises as `report`."""
        comparer = LayoutComparer(self.tuned, self.dataset, self.measure)
        return comparer.compare(self.pool(), self.context, count=self.count)

    def watch(self, *, events: int) -> Watch:
        """Replay the last events; raises as `report`."""
        return Watcher(self.served, self.optimiser(), self.dataset.catalog, self.count).watch(self.line, events=events)

    def pool(self) -> Pool:
        """Gather candidates and known answers.

        Raises
        ------
        UsageError
            If too little is known of the person.
        """
        return make_pool(self.line, len(self.line), self.tuned.recipe.effects)
