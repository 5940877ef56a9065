"""The MovieLens family: 100K (tab and bar), 1M and 10M (two colons), latest, 20M, 25M and 32M (CSV).

It decides that a like is a rating of 4 stars or more (spec `recicl`, section 1), that titles stay as published, with
their year, and that codes of ages and occupations become the words that the publisher's notes give them.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from recollect.data.readers.plan import Place, Plan, looks_like
from recollect.data.readers.tables import Delimited, header_of
from recollect.data.readers.texts import SideTable, item_texts

RULE = "rating>=4"
_EVENT_FIELDS = ("user", "item", "rating", "timestamp")
_COLUMNS = {"user": "user", "item": "item", "value": "rating", "time": "timestamp"}
_GENRES_100K = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_AGES = {
    "1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56 or older",
}  # fmt: skip
_OCCUPATIONS = (
    "other", "academic or educator", "artist", "clerical or admin", "college or grad student", "customer service",
    "doctor or health care", "executive or managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales or marketing", "scientist", "self-employed", "technician or engineer", "tradesman or craftsman",
    "unemployed", "writer",
)  # fmt: skip


def plan_100k(place: Place) -> Plan | None:
    """Recognise `u.data`: user, item, rating, time, with tabs."""
    events = place.events("u.data")
    if events is None or not looks_like(events, r"\d+\t\d+\t[0-5](\.\d)?\t\d+"):
        return None
    items, users = place.beside("u.item"), place.beside("u.user")
    return Plan(
        format="ml-100k",
        events=Delimited.named(events, "\t", _EVENT_FIELDS),
        columns=_COLUMNS,
        rule=RULE,
        items=None if items is None else _items_100k(items),
        users=None if users is None else _users(users, "|", ("id", "age", "gender", "occupation", "zip")),
    )


def plan_1m(place: Place) -> Plan | None:
    """Recognise `ratings.dat` of 1M and 10M: numbers with two colons between them, stars up to 5."""
    events = place.events("ratings.dat")
    if events is None or not looks_like(events, r"\d+::\d{1,6}::[0-5](\.\d)?::\d+"):
        return None
    items, users = place.beside("movies.dat"), place.beside("users.dat")
    return Plan(
        format="ml-1m",
        events=Delimited.named(events, "::", _EVENT_FIELDS),
        columns=_COLUMNS,
        rule=RULE,
        items=None if items is None else movies(Delimited.named(items, "::", ("id", "title", "genres"))),
        users=None if users is None else _users_1m(users),
    )


def plan_latest(place: Place) -> Plan | None:
    """Recognise `ratings.csv` by its header."""
    events = place.events("ratings.csv")
    if events is None or header_of(events, ",") != ("userId", "movieId", "rating", "timestamp"):
        return None
    items = place.beside("movies.csv")
    return Plan(
        format="ml-latest",
        events=Delimited.with_header(events, ","),
        columns={"user": "userId", "item": "movieId", "value": "rating", "time": "timestamp"},
        rule=RULE,
        items=None if items is None else movies(Delimited.with_header(items, ","), identity="movieId"),
    )


def movies(table: Delimited, *, identity: str = "id") -> SideTable:
    """Read a table of id, title and genres with bars between them."""
    texts = item_texts(pl.col("title"), pl.col("genres").str.split("|"))
    return SideTable(table, (pl.col(identity).alias("id"), *texts))


def _items_100k(path: Path) -> SideTable:
    fields = ("id", "title", "release", "video", "url", "unknown", *_GENRES_100K)
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in _GENRES_100K]
    texts = item_texts(pl.col("title"), pl.concat_list(flags))
    return SideTable(Delimited.named(path, "|", fields), (pl.col("id"), *texts))


def _users(path: Path, separator: str, fields: tuple[str, ...]) -> SideTable:
    return SideTable(Delimited.named(path, separator, fields), tuple(map(pl.col, fields)))


def _users_1m(path: Path) -> SideTable:
    words = {str(number): name for number, name in enumerate(_OCCUPATIONS)}
    table = Delimited.named(path, "::", ("id", "gender", "age", "occupation", "zip"))
    select = (
        pl.col("id"),
        pl.col("gender"),
        pl.col("age").replace(_AGES),
        pl.col("occupation").replace(words),
        pl.col("zip"),
    )
    return SideTable(table, select)
