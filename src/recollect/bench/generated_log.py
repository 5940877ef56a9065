"""A generated log of MovieLens-25M's shape: files to import where the real ones are not at hand.

It decides the shape, not the taste: as many events per person and per title, the same span of years, half stars, the
publisher's files, columns and order. A person has 20 events and more, with a logarithmic normal tail (median 71, mean
154, half of the catalog at most), and no title twice; titles fall off with the square of their rank; most people rate
on one day. Stars follow a title's and a person's mean, so that there is something to learn, but nobody's taste.

Events are made for some people at a time, so memory does not grow with the log. Source of the figures: the README and
the counts of MovieLens-25M (GroupLens).

Dimension letters: U users, I items, N events of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recollect.errors import UsageError

EVENTS: Final = 25_000_000
_USERS, _ITEMS = 162_541, 59_047
_FEWEST_EVENTS, _FEWEST_ITEMS = 1_000, 600  # a smaller catalog would not hold what one person rates
_EACH = 20  # events that everybody has
_TAIL = 1.389  # deviation of the logarithm of the others, from their mean and median
_FLAT = 200  # the catalog's share of titles that are about equally popular is one in so many
_FIRST, _LAST = 789_652_009, 1_574_327_703  # unix seconds: January 1995, November 2019
_DAY, _SITTING = 86_400, 7_200  # seconds
_ONE_DAY = 0.6  # share of people who rate on one day alone
_CHUNK_EVENTS = 1 << 20

_OPENINGS = (
    "American", "Blue", "Broken", "Dark", "Distant", "Empty", "First", "Golden", "Hidden", "Last", "Long", "Lost",
    "Midnight", "New", "Quiet", "Red", "Second", "Silent", "Strange", "Winter",
)  # fmt: skip
_THINGS = (
    "Bridge", "City", "Daughter", "Dream", "Empire", "Garden", "Harbor", "House", "Island", "Journey", "Letter",
    "Mirror", "Mountain", "Night", "River", "Road", "Secret", "Stranger", "Summer", "Train",
)  # fmt: skip
_GENRES = (
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Horror",
    "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

_Places = Int64[np.ndarray, " N"]


@dataclass(frozen=True, eq=False, slots=True)
class _World:
    """Hold what is decided before the first event.

    Parameters
    ----------
    counts : Int64[U]
        How many events each person has.
    ids : Int64[I]
        Ids of the titles by popularity, the most popular first.
    quality : Float64[I]
        Stars that each title has above or below others.
    seed : int
        Of everything random.
    """

    counts: Int64[np.ndarray, " U"]
    ids: Int64[np.ndarray, " I"]
    quality: Float64[np.ndarray, " I"]
    seed: int

    @classmethod
    def of(cls, events: int, *, seed: int) -> _World:
        random = np.random.default_rng((seed, 0))
        items = max(round(events * _ITEMS / EVENTS), _FEWEST_ITEMS)
        counts = _counts(events, users=max(round(events * _USERS / EVENTS), 1), most=items // 2, random=random)
        ids = np.cumsum(random.integers(1, 7, items))  # with gaps, as the real ones
        return cls(counts, random.permutation(ids), random.normal(0.0, 0.45, items), seed)


def write_movielens(folder: Path, *, events: int = EVENTS, seed: int) -> None:
    """Write `ratings.csv` and `movies.csv`, of 162,541 people and 59,047 titles, or proportionally fewer.

    The same arguments give the same files.

    Parameters
    ----------
    folder : Path
        Where to write; it is made if it is not there.
    events : int
        Lines of `ratings.csv`, 1,000 or more.
    seed : int
        Of everything random.

    Raises
    ------
    UsageError
        If there are too few events.
    """
    if events < _FEWEST_EVENTS:
        raise UsageError(
            "a log too small to have a shape",
            got=f"{events} events",
            expected=f"{_FEWEST_EVENTS:,} or more",
            do="ask for more",
        )
    folder.mkdir(parents=True, exist_ok=True)
    world = _World.of(events, seed=seed)
    _movies(world).write_csv(folder / "movies.csv")
    with (folder / "ratings.csv").open("wb") as file:
        for number, chunk in enumerate(_chunks(world)):
            chunk.write_csv(file, include_header=number == 0, float_precision=1)


def _counts(events: int, *, users: int, most: int, random: np.random.Generator) -> Int64[np.ndarray, " U"]:
    """Draw how many events each person has; they sum to all events."""
    rest = float(events - _EACH * users)
    more = random.lognormal(0.0, _TAIL, users)
    for _ in range(8):  # what is cut from the largest goes to all, which makes others too large, by less and less
        more = np.minimum(more * (rest / more.sum()), float(most - _EACH))
    ends = np.rint(np.cumsum(more) * (rest / more.sum())).astype(np.int64)
    return _EACH + np.diff(ends, prepend=0)


def _chunks(world: _World) -> Iterator[pl.DataFrame]:
    """Give the events of some people at a time, by person and then by title."""
    ends = np.cumsum(world.counts)
    steps = np.arange(_CHUNK_EVENTS, int(ends[-1]), _CHUNK_EVENTS)
    inner: list[int] = np.searchsorted(ends, steps).tolist()
    borders = sorted({0, *inner, len(ends)})
    for number, (first, end) in enumerate(pairwise(borders)):
        yield _chunk(world, np.arange(first, end), np.random.default_rng((world.seed, 1, number)))


def _chunk(world: _World, people: Int64[np.ndarray, " U"], random: np.random.Generator) -> pl.DataFrame:
    counts = world.counts[people]
    place = np.repeat(np.arange(len(people)), counts)  # of each event's person in the chunk
    ranks = _distinct_ranks(place, counts, items=len(world.ids), random=random)
    columns = {
        "userId": people[place] + 1,
        "movieId": world.ids[ranks],
        "rating": _stars(world, place, ranks, random),
        "timestamp": _times(place, random),
    }
    return pl.DataFrame(columns).sort("userId", "movieId")


def _distinct_ranks(
    place: _Places, counts: Int64[np.ndarray, " U"], *, items: int, random: np.random.Generator
) -> _Places:
    """Draw titles by popularity, no two alike for one person.

    Draws of a person are put in order; one that is not above the one before it moves up to the next place. The
    running maximum does so for all people at once, since each person's keys lie above those of the one before.
    """
    drawn = np.sort(place + random.random(len(place))) - place
    flat = items / _FLAT
    low, high = 1 / flat, 1 / (items + flat)
    ranks = np.minimum(1 / (low - drawn * (low - high)) - flat, items - 1).astype(np.int64)
    at = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)  # which event of the person
    lift = place * (2 * items)
    ranks = np.maximum.accumulate(ranks - at + lift) - lift + at
    return np.minimum(ranks, items - counts[place] + at)


def _stars(world: _World, place: _Places, ranks: _Places, random: np.random.Generator) -> Float64[np.ndarray, " N"]:
    """Give half stars around the mean of the title and of the person."""
    person = random.normal(3.5, 0.4, int(place[-1]) + 1)
    felt = person[place] + world.quality[ranks] + random.normal(0.0, 0.8, len(place))
    return np.clip(np.rint(2 * felt), 1, 10) / 2


def _times(place: _Places, random: np.random.Generator) -> _Places:
    """Give unix seconds: a first day for each person, and for some people more days after it."""
    people = int(place[-1]) + 1
    first = random.integers(_FIRST, _LAST - _DAY, people)
    stay = np.where(random.random(people) < _ONE_DAY, 0.0, random.lognormal(5.0, 1.5, people))
    day = (random.exponential(1.0, len(place)) * stay[place]).astype(np.int64)
    return np.minimum(first[place] + day * _DAY + random.integers(0, _SITTING, len(place)), _LAST)


def _movies(world: _World) -> pl.DataFrame:
    """Name the titles, by id; some have a comma, and so need quotes."""
    random = np.random.default_rng((world.seed, 2))
    items = len(world.ids)
    opening, thing = random.integers(0, len(_OPENINGS), items), random.integers(0, len(_THINGS), items)
    genres: list[list[int]] = random.integers(0, len(_GENRES), (items, 2)).tolist()
    titles = [
        f"{_OPENINGS[one]} {_THINGS[two]}{', The' if place % 5 == 0 else ''} ({1920 + place % 100})"
        for place, (one, two) in enumerate(zip(opening.tolist(), thing.tolist(), strict=True))
    ]
    kinds = ["|".join(dict.fromkeys(_GENRES[genre] for genre in row)) for row in genres]
    return pl.DataFrame({"movieId": world.ids, "title": titles, "genres": kinds}).sort("movieId")
