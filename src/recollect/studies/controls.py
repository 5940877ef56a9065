"""Controls: the same weights with one thing broken, to say why a method wins.

Shuffled labels keep a person's base rate and lose which item got which answer; shuffled titles keep who met what and
lose what a title means; without events nothing of the person is left. A model tuned without demonstrations is shown
some as well, and one tuned with them is shown none: is in-context ability learned in tuning, or there all along?

It decides that a control changes what is shown, never what was tuned. Source: `recollect.context.controls`; RecICL
(arXiv 2410.23136), demonstrations added only at inference.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from recollect.prompt.block import BlockSettings
from recollect.studies.delay import contrasts
from recollect.studies.design import Arm, Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.study import Study

_AS_IS: Final = Variant("as is")
_BLIND: Final = Variant("without events", blind=True)
_SHUFFLED: Final = (
    Variant("shuffled labels", shown=("controls.labels=true",)),
    Variant("shuffled titles", shown=("controls.titles=true",)),
)


def controls_study(*, demonstrations: int = 4) -> Study:
    """Make the study of controls.

    Parameters
    ----------
    demonstrations : int
        How many are added to a model that was tuned without.
    """
    return Study(
        name="controls",
        title="Quality with one thing broken",
        asks="What does the quality of a method rest on?",
        axis="control",
        cells=partial(_cells, demonstrations=demonstrations),
        contrasts=contrasts,
        notes=("Labels and titles are shuffled in the block layout only; the answers asked for stay the true ones.",),
    )


def variants_of(arm: Arm, *, demonstrations: int) -> list[Variant]:
    """List the controls that an arm's layout knows, the unbroken one first."""
    recipe = arm.resolve()
    if not isinstance(recipe.layout, BlockSettings):
        return [_AS_IS, _BLIND]
    if recipe.demonstrations.count:
        other = Variant("demonstrations only in tuning", shown=("demonstrations.count=0",))
    else:
        other = Variant("demonstrations only at inference", shown=(f"demonstrations.count={demonstrations}",))
    return [_AS_IS, *_SHUFFLED, _BLIND, other]


def _cells(design: Design, *, demonstrations: int) -> list[Cell]:
    cells = [cell for arm in design.arms for cell in design.cells(arm, variants_of(arm, demonstrations=demonstrations))]
    return [*cells, *design.floors(_AS_IS.place)]
