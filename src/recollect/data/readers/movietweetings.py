"""MovieTweetings: ratings of 0 to 10 that people sent from IMDb to Twitter (Dooms and others, 2013).

It decides that a like is a rating of 8 or more, which about halves the log, and that the file of Twitter accounts is
not read: it says nothing about taste and points at persons.
"""

from __future__ import annotations

from recollect.data.readers.movielens import movies
from recollect.data.readers.plan import Place, Plan, looks_like
from recollect.data.readers.tables import Delimited


def plan_movietweetings(place: Place) -> Plan | None:
    """Recognise `ratings.dat` by its IMDb numbers of 7 or 8 digits, which tell it from MovieLens."""
    events = place.events("ratings.dat")
    if events is None or not looks_like(events, r"\d+::\d{7,8}::\d{1,2}::\d+"):
        return None
    items = place.beside("movies.dat")
    return Plan(
        format="movietweetings",
        events=Delimited.named(events, "::", ("user", "item", "rating", "timestamp")),
        columns={"user": "user", "item": "item", "value": "rating", "time": "timestamp"},
        rule="rating>=8",
        items=None if items is None else movies(Delimited.named(items, "::", ("id", "title", "genres"))),
    )
