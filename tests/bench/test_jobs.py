"""Jobs: the fastest of ours stands for us, and costs become rates and shares of the peak."""

import pytest
import torch

from recollect.bench.cost import Cost
from recollect.bench.jobs import Effort, Job, compare, time_jobs
from recollect.bench.result import Row, WayTime
from recollect.bench.timing import Way
from recollect.progress import SILENT

ROW = Row(part="score", work="score", backbone="10M", against="plain", precision="float32", note="first")


def way(name: str, median: float, **more) -> WayTime:
    return WayTime(
        group="score", way=name, precision="float32", median_ms=median, low_ms=median / 2, high_ms=median * 2,
        cores_ms=median, runs=3, **more,
    )  # fmt: skip


def test_the_fastest_of_ours_stands_for_us():
    plain = way("plain", 800.0, flops=600.0, note="plain way scaled from 4")
    row = compare(ROW, [way("slow", 20.0), way("fast", 10.0, flops=3.0, peak_share=0.25)], plain, units=50)
    assert (row.ours, row.ratio, row.allowed, row.peak_share) == ("fast", 80.0, 200.0, 0.25)
    assert (row.low, row.high) == (20.0, 320.0)  # 400 / 20 and 1600 / 5
    assert row.rate == 5000  # 50 candidates in 10 ms
    assert row.note == "first; plain way scaled from 4"


def test_times_carry_cost_and_share_of_the_peak():
    jobs = [
        Job(Way("score", "ours", int), Cost(2e9, 1e6), "float32"),
        Job(Way("score", "other", int, share=0.1), None, "float32", "scaled"),
    ]
    ours, other = time_jobs(jobs, effort=Effort(2, 1.0), device=torch.device("cpu"), progress=SILENT, label="both")
    assert ours.gflops == pytest.approx(2e3 / ours.median_ms)
    assert ours.bytes == 4e6
    assert ours.peak_share is not None
    assert ours.peak_share > 0
    assert (other.flops, other.gflops, other.peak_share, other.share, other.note) == (None, None, None, 0.1, "scaled")
