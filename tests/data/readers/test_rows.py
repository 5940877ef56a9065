"""What becomes of good rows: times, doubles, labels, texts; the same rows from every form."""

import csv
import io
import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data import read
from recollect.data.readers.intake import Repeats, find_doubles
from recollect.data.readers.text import Block, blocks
from recollect.errors import UsageError

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=5)
EVENTS = st.lists(
    st.tuples(WORDS, WORDS, st.integers(0, 2**31), st.integers(1, 5)),
    min_size=1,
    max_size=20,
    unique_by=lambda event: event[:2],
)
NAMES = ("user", "item", "time", "rating")


def write(path, events, form: str) -> None:
    if form == "parquet":
        pl.DataFrame(events, schema=NAMES, orient="row").write_parquet(path)
    elif form == "jsonl":
        lines = (json.dumps(dict(zip(NAMES, event, strict=True))) for event in events)
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        text = io.StringIO()
        csv.writer(text, delimiter="\t" if form == "tsv" else ",").writerows([NAMES, *events])
        path.write_text(text.getvalue(), encoding="utf-8", newline="")


def triples(found) -> list[tuple[str, str, int, int]]:
    log = found.log
    named = zip(log.user.tolist(), log.item.tolist(), log.time.tolist(), log.value.astype(int).tolist(), strict=True)
    return [(found.users.ids[user], found.catalog.ids[item], time, value) for user, item, time, value in named]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
@given(events=EVENTS)
def test_round_trip(tmp_path_factory, form, events):
    path = tmp_path_factory.mktemp("log") / f"events.{form}"
    write(path, events, form)
    found, facts = read(path, like="rating>=4", strict=True)
    assert sorted(triples(found)) == sorted(events)
    assert facts.like_share == pytest.approx(sum(event[3] >= 4 for event in events) / len(events))


@given(st.binary(max_size=60), st.integers(1, 20), st.booleans())
def test_blocks_are_the_whole_file_in_whole_lines(tmp_path_factory, content, size, quoted):
    path = tmp_path_factory.mktemp("text") / "x"
    path.write_bytes(content)
    found = list(blocks(path, "latin-1", quoted=quoted, size=size))
    text = content.removeprefix(b"\xef\xbb\xbf").decode("latin-1") if size >= 3 else None
    assert text is None or "".join(block.text for block in found) == text
    assert all(block.text.endswith("\n") for block in found[:-1])
    lines = np.cumsum([1, *(block.text.count("\n") for block in found)])
    assert [block.first_line for block in found] == lines[:-1].tolist()


def test_no_block_ends_inside_quotes(tmp_path):
    path = tmp_path / "x"
    path.write_text('a\n"b\nc"\nd\n')
    assert list(blocks(path, "utf-8", quoted=True, size=6)) == [Block(1, "a\n"), Block(2, '"b\nc"\nd\n')]


@pytest.fixture
def rows(tmp_path):
    """Import rows of a CSV file."""

    def load(text: str, **options):
        (tmp_path / "events.csv").write_text(text, encoding="utf-8")
        return read(tmp_path / "events.csv", **options)

    return load


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("86400", 86_400),
        ("86400.9", 86_400),
        ("-86400", -86_400),
        ("1700000000123", 1_700_000_000),
        ("1970-01-02", 86_400),
        ("1970-01-02T00:00:01", 86_401),
        ("1970-01-02 00:01", 86_460),
        ("1970-01-02T00:00:00.5Z", 86_400),
        ("1970-01-02 02:00:00+02:00", 86_400),
    ],
)
def test_times(rows, text, seconds):
    found, facts = rows(f"user,item,time\na,x,{text}\n", strict=True)
    assert found.log.time.tolist() == [seconds]
    assert ("times were in milliseconds" in facts.notes) == (text == "1700000000123")


@pytest.mark.parametrize(
    "when",
    [date(1970, 1, 2), datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 1, 2, 2, tzinfo=ZoneInfo("Africa/Cairo"))],
)
def test_times_of_parquet_may_be_dates(tmp_path, when):
    frame = pl.DataFrame({"user": ["a"], "item": [3], "time": [when]})
    frame.write_parquet(tmp_path / "log.parquet")
    found, facts = read(tmp_path)
    assert (found.log.time.tolist(), found.catalog.ids, facts.format) == ([86_400], ("3",), "parquet")


@pytest.mark.parametrize("name", ['12" vinyl', '"Heroes" (live)', "7'"])
def test_stray_quotes_cost_no_row(rows, name):
    found, facts = rows(f"user,item,time,title\na,x,1,{name}\na,y,2,b\na,z,3,{name}\n")
    assert (facts.rows_kept, facts.rows_bad) == (3, 0)
    assert found.catalog.titles[1] == "b"


def test_doubles_of_ratings(rows):
    text = "user,item,time,rating\n" + "a,x,1,5\n" * 3 + "a,x,2,3\nb,x,2,3\n"
    found, facts = rows(text)
    assert triples(found) == [("a", "x", 1, 5), ("b", "x", 2, 3)]
    assert (facts.duplicates, facts.repeats, facts.repeats_kept) == (2, 1, False)
    assert triples(rows(text, repeats="all")[0]) == [("a", "x", 1, 5), ("a", "x", 2, 3), ("b", "x", 2, 3)]


def test_repeated_clicks_are_kept(rows):
    found, facts = rows("user,item,time,type\na,x,1,view\na,x,1,view\na,x,2,buy\na,y,3,\n")
    assert found.log.time.tolist() == [1, 2, 3]
    assert (facts.duplicates, facts.repeats, facts.repeats_kept) == (1, 1, True)
    assert found.log.kinds == ("buy", "view")
    assert found.log.kind is not None
    assert found.log.kind.tolist()[:2] == [1, 0]


def test_sessions_are_numbered(rows):
    session = rows("user,item,time,session\na,x,1,s9\na,y,2,s9\na,z,3,s1\n")[0].log.session
    assert session is not None
    assert session.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("values", "rule"),
    [("0 1 1", "rating>=1"), ("1 3 5", "rating>=4"), ("0.5 4 5", "rating>=4"), ("2 10 7", "rating>=8")],
)
def test_the_label_rule_follows_the_range(rows, values, rule):
    lines = "".join(f"a,{place},{place},{value}\n" for place, value in enumerate(values.split()))
    facts = rows("user,item,time,rating\n" + lines)[1]
    assert facts.rule == rule
    assert any(rule in note for note in facts.notes)


@pytest.mark.parametrize("values", ["1 100", "-1 1", "0 0.5"])
def test_values_that_show_no_rule(rows, values):
    lines = "".join(f"a,{place},{place},{value}\n" for place, value in enumerate(values.split()))
    with pytest.raises(UsageError, match="--like"):
        rows("user,item,time,rating\n" + lines)
    assert rows("user,item,time,rating\n" + lines, like="rating>=1")[1].rule == "rating>=1"


def test_texts_beside_the_events(rows):
    text = (
        "user,item,time,title,genres\n"
        'a,x,1,"He said ""no"", twice\nor more (1999)",Drama|Crime\n'
        "a,y,2,,\n"
        "b,x,3,other,\n"
    )
    found, facts = rows(text, strict=True)
    assert found.catalog.titles == ('He said "no", twice\nor more (1999)', "y")
    assert (found.catalog.genres, found.catalog.years.tolist()) == ((("Drama", "Crime"), ()), [1999, 0])
    assert facts.untitled == 1


def test_all_likes_are_told(rows):
    assert "nothing can be learnt" in " ".join(rows("user,item,time\na,x,1\n")[1].notes)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2)), max_size=15))
def test_doubles_against_a_slow_count(log_of, events):
    log = log_of(events)
    seen: set[tuple[int, ...]] = set()
    copies, further = [], []
    for row, event in enumerate(sorted(events, key=lambda event: event[:3])):
        if event in seen:
            copies.append(row)
        elif event[1:3] in {other[1:3] for other in seen}:
            further.append(row)
        seen.add(event)
    policies: list[tuple[Repeats, list[int]]] = [("first", copies + further), ("all", copies)]
    for policy, dropped in policies:
        doubles = find_doubles(log, policy)
        assert (doubles.duplicates, doubles.repeats) == (len(copies), len(further))
        assert doubles.keep.tolist() == [row for row in range(len(log)) if row not in dropped]
