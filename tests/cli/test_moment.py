"""Moments as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.cli.moment import format_time, parse_time
from recollect.errors import UsageError

DAY = 24 * 60 * 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("-5", -5),
        (" 978300760 ", 978300760),
        ("1970-01-02", DAY),
        ("1970-01-02T00:00:01", DAY + 1),
        ("1970-01-02 00:00:01", DAY + 1),
        ("1970-01-02T00:00:01Z", DAY + 1),
        ("1970-01-02T02:00:00+02:00", DAY),
        ("1970-01-02T00:00:01.9", DAY + 1),
    ],
)
def test_reads_seconds_and_iso_moments(text, seconds):
    assert parse_time(text, option="--at") == seconds


@pytest.mark.parametrize("text", ["", "soon", "2013-13-01", "2013-02-30", "1e9", "nan", "12:30", "9" * 30])
def test_refuses_what_is_no_moment(text):
    with pytest.raises(UsageError, match="--until takes a time"):
        parse_time(text, option="--until")


@given(st.integers(min_value=-62_135_596_800, max_value=253_402_300_799))
def test_what_is_written_is_read_back(seconds):
    assert parse_time(format_time(seconds), option="--at") == seconds


def test_seconds_beyond_the_calendar_stay_seconds():
    assert format_time(10**17) == "1" + "0" * 17
