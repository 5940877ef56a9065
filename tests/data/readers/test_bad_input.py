"""Bad input is told with its line and reason, skipped or refused, never guessed."""

import pytest

from recollect.data import read
from recollect.errors import BadRow, DataError, SourceNotFound, UnknownColumn, UnknownFormat, UsageError

HEADER = "user,item,time,rating\n"
BAD = {
    "a,x,1\n": "not 4 fields",
    "a,x,1,5,6\n": "not 4 fields",
    " ,x,1,5\n": "has no user",
    "a,,1,5\n": "has no item",
    "a,x,soon,5\n": "time 'soon' is not a time",
    "a,x,,5\n": "time '' is not a time",
    "a,x,9e99,5\n": "time '9e99' is not a time",
    "a,x,2020-13-01,5\n": "time '2020-13-01' is not a time",
    "a,x,1,five\n": "rating 'five' is not a number",
    "a,x,1,nan\n": "rating 'nan' is not a number",
    'a,"x,1,5\n': "not 4 fields",
}


@pytest.fixture
def source(tmp_path):
    """Write a log and give its path."""

    def write(content, name="events.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(("row", "reason"), BAD.items(), ids=BAD.values())
def test_a_bad_row_is_counted_and_shown_or_ends_a_strict_import(source, row, reason):
    path = source(f"{HEADER}a,x,1,5\n\n{row}b,y,2,3\n")
    found, facts = read(path)
    assert (facts.rows_read, facts.rows_kept, facts.rows_bad) == (3, 2, 1)
    assert [str(line) for line in facts.bad] == [f"events.csv line 4: {reason}" + _rest(reason)]
    assert found.log.time.tolist() == [1, 2]
    with pytest.raises(BadRow, match="line 4") as caught:
        read(path, strict=True)
    assert caught.value.line == 4


def _rest(reason: str) -> str:
    return " (unix seconds or an ISO date)" if reason.endswith("a time") else ""


def test_the_first_few_bad_rows_are_kept(source):
    facts = read(source(HEADER + "a,x,1,5\n" + "a,x,1,no\n" * 9))[1]
    assert (facts.rows_bad, [line.line for line in facts.bad]) == (9, [3, 4, 5, 6, 7])


def test_bad_rows_of_the_texts_are_told(source):
    source("1::Toy Story (1995)::Comedy\n2::Amélie\n", "movies.dat")
    path = source("1::1::5::100\n1::2::4::200\n", "ratings.dat")
    found, facts = read(path)
    assert found.catalog.titles == ("Toy Story (1995)", "2")
    assert (facts.untitled, facts.rows_bad) == (1, 0)
    assert str(facts.bad[0]) == "movies.dat line 2: not 3 fields"
    assert "1 bad rows of movies.dat skipped" in facts.notes
    with pytest.raises(BadRow, match=r"movies\.dat"):
        read(path, strict=True)


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        ("user,time\na,1\n", UnknownColumn, "no column for item"),
        ("1,2,3\n", UnknownColumn, "no column for user and item and time"),
        ("user,item,item,time\n", DataError, "twice"),
        (HEADER, DataError, "no usable row"),
        (HEADER + "a,x,y,z\n", DataError, "line 2"),
        ("", DataError, "an empty file"),
        ("\n\n", DataError, "an empty file"),
        (b"user,item\x00,time\n", DataError, "zero byte"),
        ("user,item,time\na,x,1\n".encode("utf-16"), DataError, "UTF-16"),
        (b"PAR1 is not all of it", DataError, "parquet"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_a_file_that_is_no_log(source, content, kind, told):
    with pytest.raises(kind, match=told):
        read(source(content))


def test_where_there_is_nothing(tmp_path):
    with pytest.raises(SourceNotFound, match="nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(UnknownFormat, match="an empty folder"):
        read(tmp_path)


def test_another_format_than_the_one_named(source):
    path = source(HEADER + "a,x,1,5\n")
    assert read(path, format="csv")[1].format == "csv"
    with pytest.raises(UnknownFormat, match="format ml-1m"):
        read(path, format="ml-1m")
    with pytest.raises(UsageError, match="one of collm"):
        read(path, format="xml")


def test_several_files_that_could_be_the_log(source, tmp_path):
    source(HEADER + "a,x,1,5\n", "one.csv")
    source(HEADER + "a,x,1,5\n", "two.csv")
    with pytest.raises(DataError, match=r"one\.csv, two\.csv"):
        read(tmp_path)
    source(HEADER + "b,x,1,5\n", "ratings.csv")
    assert read(tmp_path)[0].users.ids == ("b",)


@pytest.mark.parametrize(
    ("like", "told"), [("stars>=4", "about another column"), ("rating", "cannot be read")], ids=["column", "text"]
)
def test_a_wrong_label_rule(source, like, told):
    with pytest.raises(UsageError, match=told):
        read(source(HEADER + "a,x,1,5\n"), like=like)


@pytest.mark.parametrize("bytes_of_utf8", [1, 2])
def test_text_that_is_not_utf8_is_latin1(source, bytes_of_utf8):
    text = "user,item,time,title\na,x,1,Amélie\n"
    found, facts = read(source(text.encode("utf-8" if bytes_of_utf8 == 2 else "latin-1")))
    assert facts.encoding == ("utf-8" if bytes_of_utf8 == 2 else "latin-1")
    assert found.catalog.titles == ("Amélie",)
