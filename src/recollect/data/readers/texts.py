"""Texts of items and attributes of users: the small tables beside a log.

It decides that a family of formats says in polars expressions how such a table becomes our columns, that the first
row of an id counts, and that an item without a text gets its id as title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recollect.data.catalog import Catalog, Users
from recollect.data.facts import BadLine
from recollect.data.readers.cells import Columns
from recollect.data.readers.complaints import KEPT, Complaints
from recollect.data.readers.tables import FAULT, LINE, Table

NO_GENRES = ("", "(no genres listed)", "unknown")
_SCHEMA = {"id": pl.String, "title": pl.String, "genres": pl.List(pl.String), "year": pl.Int16}


@dataclass(frozen=True, eq=False, slots=True)
class SideTable:
    """Hold a table beside the log and how its columns become ours.

    Parameters
    ----------
    table : Table
        Where the rows are.
    select : sequence of Expr
        One expression per column of ours; the first is called ``id``.
    """

    table: Table
    select: Sequence[pl.Expr]

    def read(self, complaints: Complaints) -> pl.DataFrame:
        """Return the columns, one row per id; bad rows go to the complaints.

        Raises
        ------
        BadRow
            If the import is strict and a row is bad.
        """
        kept: list[pl.DataFrame] = []
        for frame in self.table.frames():
            chosen = frame.select(pl.col(LINE), pl.col(FAULT), *self.select)
            no_id = pl.col("id").is_null() | (pl.col("id") == "")
            reason = pl.coalesce(pl.col(FAULT), pl.when(no_id).then(pl.lit("has no id")))
            bad = chosen.filter(reason.is_not_null()).select(LINE, reason.alias(FAULT))
            file = self.table.path.name
            complaints.add(file, len(bad), [BadLine(file, *row) for row in bad.head(KEPT).rows()])
            kept.append(chosen.filter(reason.is_null()).drop(LINE, FAULT))
        return pl.concat(kept).unique("id", keep="first", maintain_order=True)


def item_texts(title: pl.Expr, genres: pl.Expr | None = None, year: pl.Expr | None = None) -> tuple[pl.Expr, ...]:
    """Say how title, genres and year of an item are read.

    Parameters
    ----------
    title : Expr
        Text, possibly null.
    genres : Expr, optional
        Lists of text.
    year : Expr, optional
        A number as text; where it is missing, the title's last four digits in parentheses.
    """
    in_title = title.str.extract(r"\((\d{4})(?:[-–][^)]*)?\)\s*$").cast(pl.Int16, strict=False)
    no_genres = pl.lit(None, dtype=pl.List(pl.String))
    clean = pl.element().filter(~pl.element().is_in(NO_GENRES) & pl.element().is_not_null())
    return (
        title.str.strip_chars().alias("title"),
        (no_genres if genres is None else genres.list.eval(clean)).alias("genres"),
        (in_title if year is None else pl.coalesce(year.cast(pl.Int16, strict=False), in_title)).alias("year"),
    )


def text_columns(columns: Columns) -> tuple[pl.Expr, ...]:
    """Say how the texts of items are read from named columns, genres with bars, commas or semicolons between them.

    Parameters
    ----------
    columns : mapping of str to str
        The source's names of title, genres and year, as far as there are any.
    """
    title = pl.col(columns["title"]).cast(pl.String) if "title" in columns else pl.lit(None, dtype=pl.String)
    year = pl.col(columns["year"]) if "year" in columns else None
    if "genres" not in columns:
        return item_texts(title, None, year)
    between_bars = pl.col(columns["genres"]).cast(pl.String).str.replace_all(r"\s*[|,;]\s*", "|").str.strip_chars()
    return item_texts(title, between_bars.str.split("|"), year)


def no_texts() -> pl.DataFrame:
    """Return the table of a source without texts."""
    return pl.DataFrame(schema=_SCHEMA)


def build_catalog(ids: tuple[str, ...], texts: pl.DataFrame) -> tuple[Catalog, int]:
    """Put texts to ids; return the catalog and the number of ids without a text.

    Parameters
    ----------
    ids : tuple of str
        Ids by code.
    texts : DataFrame
        Columns id, title, genres, year.
    """
    joined = _by_id(ids, texts).with_columns(pl.col("title").replace("", None))
    catalog = Catalog(
        ids=ids,
        titles=tuple(joined["title"].fill_null(joined["id"])),
        genres=tuple(tuple(some or ()) for some in joined["genres"].to_list()),
        years=joined["year"].fill_null(0).to_numpy().astype(np.int16),
    )
    return catalog, joined["title"].null_count()


def build_users(ids: tuple[str, ...], attributes: pl.DataFrame) -> Users:
    """Put attributes to ids; a missing one is empty text."""
    joined = _by_id(ids, attributes)
    return Users(ids, {name: tuple(joined[name].fill_null("")) for name in joined.columns if name != "id"})


def _by_id(ids: tuple[str, ...], table: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"id": ids}, schema={"id": pl.String}).join(table, on="id", how="left", maintain_order="left")
