"""Taking blocks apart: a CSV parser where all lines are even, with the same rows as line by line; bounded frames."""

from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recollect.data.readers.tables import LINE, Delimited
from recollect.data.readers.text import BLOCK_BYTES, Block

LINES = st.lists(st.text(st.sampled_from("a1 ,;\té\ufeff\r"), max_size=7), min_size=1, max_size=5)
CELLS = st.text(st.sampled_from("a1 ;é#'\\\ufeff"), max_size=3)
EVEN = st.lists(st.tuples(CELLS, CELLS, CELLS).map(",".join), min_size=1, max_size=5)


def table_of(path) -> Delimited:
    return Delimited(path, "utf-8", ",", ("user", "item", "time"))


@given(lines=LINES | EVEN, end=st.sampled_from(["", "\n"]))
def test_a_csv_parser_finds_the_same_rows(tmp_path_factory, lines, end):
    table, block = table_of(tmp_path_factory.getbasetemp() / "x.csv"), Block(7, "\n".join(lines) + end)
    if block.text:
        assert_frame_equal(table._by_line(block), table._uneven(block))


def test_no_frame_is_larger_than_a_block(tmp_path):
    path, line = tmp_path / "events.csv", "1000000,2000000,3000000\n"
    count = 2 * BLOCK_BYTES // len(line)
    path.write_text(line * count, encoding="utf-8")
    frames = [(len(frame), frame[LINE][0]) for frame in table_of(path).frames()]
    assert sum(length for length, _ in frames) == count
    assert max(length for length, _ in frames) <= BLOCK_BYTES // len(line) + 1
    assert [first for _, first in frames] == [1 + sum(length for length, _ in frames[:at]) for at in range(len(frames))]
