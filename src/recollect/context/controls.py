"""Controls: the same prompts with one thing broken, to say why a method wins (spec `recicl`, section 9, point 4).

- *Shuffled labels*: a person's answers change places among the person's own events. Base rate and items stay; what is
  lost is which item got which answer. A method that loses nothing by it has read the base rate alone.
- *Shuffled titles*: the texts change places among the items. Who met which item, and how often, stays; what a language
  model knows of a title is then wrong.

It decides that whatever tells an answer moves with it (value, and the residual among the features), so that the true
answer is nowhere left to read; and that a shuffle is fixed by its seed and the person, never by the order of calls.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recollect.context.evidence import Timeline
from recollect.context.statistics import EVENT_FEATURES
from recollect.data.catalog import Catalog

_RESIDUAL: Final = EVENT_FEATURES.index("residual")


class ControlSettings(BaseModel):
    """Break one thing: `labels` shuffles the answers of the shown events, `titles` the names of the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: bool = False
    titles: bool = False
    seed: int = Field(default=0, ge=0)


def shuffled_labels(line: Timeline, settings: ControlSettings) -> Timeline:
    """Return a timeline whose answers have changed places, or the timeline itself if that is switched off.

    Cut the timeline to what is known first (`Timeline.until`): answers are exchanged among all events given, so that
    a longer one would show the base rate of what is still to come.
    """
    if not settings.labels:
        return line
    order = np.random.default_rng((settings.seed, line.user)).permutation(len(line))
    labels, features = line.labels[order], line.features.copy()
    # the residual is twice the label less the item's mean at that moment; the mean stays the item's
    features[:, _RESIDUAL] += 2 * (labels.astype(np.float32) - line.labels.astype(np.float32))
    return replace(line, labels=labels, values=line.values[order], features=features)


def shuffled_titles(catalog: Catalog, settings: ControlSettings) -> Catalog:
    """Return a catalog in which every item has the title, genres and year of another, or the catalog if switched off.

    All items form one random ring and take the texts of their neighbour in it, so that none keeps its own.
    """
    if not settings.titles:
        return catalog
    ring = np.random.default_rng(settings.seed).permutation(len(catalog))
    giver = np.empty_like(ring)
    giver[ring] = np.roll(ring, 1)
    codes: list[int] = giver.tolist()
    return Catalog(
        ids=catalog.ids,
        titles=tuple(catalog.titles[code] for code in codes),
        genres=tuple(catalog.genres[code] for code in codes),
        years=catalog.years[giver],
    )
