"""`python -m benchmarks.taste`: the kept set against recent events and none, before and after a change of taste.

What is compared: the loss of each next event of planted persons (`tests/plugin/planted.py`) with the demonstrations
that the two stages show, with as many most recent ones, and with none. Half of a person's taste turns after 24 to 39
events, so that the change falls anywhere between two planned selections; 15 % of the events are another person's and
are not counted. It decides that a person is one observation: leads are means over the events of a phase, and their
standard error is that over persons.
"""

from __future__ import annotations

import argparse
from typing import Final

import numpy as np
from jaxtyping import Float64
from tests.plugin.planted import PlantedMeasure, draw_person, load_decoder, measures

from recollect.cli.output import say, show_table
from recollect.context.effect_stages import Optimiser
from recollect.context.effects import EffectSettings, losses

EVENTS: Final = 64
FIRST: Final = 10  # events known before the first question
SHOWN: Final = 8
PHASES: Final = {
    "before the change": (-EVENTS, 0),
    "the first 8 events after it": (0, 8),
    "later": (8, EVENTS),
    "all after it": (0, EVENTS),
}


def change_of(seed: int) -> int:
    """Return the first event of a person's later taste."""
    return 24 + seed % 16


def leads(measure: PlantedMeasure) -> Float64[np.ndarray, "E 2"]:
    """Return by how many nats each event is answered better than with the most recent events, and than with none.

    Parameters
    ----------
    measure : PlantedMeasure
        Of the person.

    Returns
    -------
    Float64[E, 2]
        One row per event from the tenth on; not a number where the event is another person's.
    """
    person = measure.person
    kept = Optimiser(measure, EffectSettings(), SHOWN, gather=person.gather)
    rows = np.full((EVENTS - FIRST, 2), np.nan)
    for known in np.flatnonzero(~person.foreign[FIRST:]) + FIRST:
        pool = person.asked(np.array([known]), np.arange(known))
        gates = np.zeros((3, known))
        gates[0, kept.chosen(person.line, int(known)).places] = 1
        gates[1, -SHOWN:] = 1
        chosen, recent, none = losses(pool, measure.predictions(pool, gates))[:, 0]
        rows[known - FIRST] = recent - chosen, none - chosen
    return rows


def main() -> None:
    """Measure persons and print the leads of each phase."""
    parser = argparse.ArgumentParser(description="lead of the kept set in nats, before and after a change of taste")
    parser.add_argument("--persons", type=int, default=32, help="how many")
    parser.add_argument("--seed", type=int, default=3000, help="the first of them")
    asked = parser.parse_args()
    measure_of = measures(load_decoder())
    means: list[Float64[np.ndarray, "P 2"]] = []
    for seed in range(asked.seed, asked.seed + asked.persons):
        change = change_of(seed)
        rows = leads(measure_of(draw_person(seed, events=EVENTS, foreign=0.15, change=change)))
        place = np.arange(FIRST, EVENTS) - change
        means.append(np.array([np.nanmean(rows[(low <= place) & (place < high)], 0) for low, high in PHASES.values()]))
        say(f"person {seed}: taste turns at event {change}, lead over recent after it {means[-1][-1, 0]:+.3f} nats")
    found = np.array(means)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    table = [
        [phase, *(f"{found[:, row, other].mean():+.3f} ± {error[row, other]:.3f}" for other in (0, 1))]
        for row, phase in enumerate(PHASES)
    ]
    show_table(table, header=("phase", "lead over recent", "lead over none"))


if __name__ == "__main__":
    main()
