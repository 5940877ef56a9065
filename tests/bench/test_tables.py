"""Tables: what a reader sees of rows and times."""

from recollect.bench.result import Row, WayTime
from recollect.bench.tables import ROW_HEADER, TIME_HEADER, fact_cells, note_lines, row_cells, time_cells

ROW = Row(
    part="score", work="score 100 after 1,024, warm", backbone="10M", against="prompt each, float32",
    precision="float32", target=120, ratio=44.44, low=41.0, high=47.0, allowed=43.71, ours="ours", rate=330.4,
    rate_unit="candidates/s", peak_share=0.31, note="scaled",
)  # fmt: skip
GPU = Row(
    part="score", work="score 100 after 1,024, warm", backbone="8B", against="bfloat16 product, GPU",
    precision="bfloat16", target=0.5, aim="peak share",
)  # fmt: skip


def test_rows_show_promise_beside_measurement():
    first, second = row_cells([ROW, GPU])
    assert len(first) == len(ROW_HEADER)
    assert first == (
        "score 100 after 1,024, warm [1]", "10M", "prompt each, float32", "120x", "44.4x", "43.7x", "31%", "330/s",
        "missed",
    )  # fmt: skip
    assert second[3:] == ("50% peak", "-", "-", "-", "-", "not measured")
    assert note_lines([ROW, GPU]) == ["[1] scaled"]


def test_ours_in_another_type_is_said():
    assert row_cells([ROW.model_copy(update={"precision": "bfloat16"})])[0][0].endswith("warm, bfloat16 [1]")


def test_times_show_spread_work_and_rate():
    time = WayTime(
        group="score", way="ours", precision="float32", median_ms=2000.5, low_ms=1.0, high_ms=4000.0, cores_ms=3.0,
        runs=5, flops=2e9, bytes=3e6, gflops=1.04, peak_share=0.006, note="scaled from 4",
    )  # fmt: skip
    cells = time_cells([time])[0]
    assert len(cells) == len(TIME_HEADER)
    assert cells == (
        "ours (scaled from 4)", "2,000.50", "1.00 to 4,000.00", "3.00", "5", "2.00", "3.00", "1.0", "1%",
    )  # fmt: skip


def test_facts_large_and_small():
    assert fact_cells({"bytes": 65536.0, "difference": 2.2e-08, "word": "yes"}) == [
        ("bytes", "65,536"), ("difference", "2.2e-08"), ("word", "yes"),
    ]  # fmt: skip
