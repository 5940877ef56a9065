"""Rows and parts: when a promise is met, and that JSON gives back what was written."""

import pytest

from recollect.bench.result import Asked, Findings, Part, Row, WayTime

ROW = Row(part="score", work="score", backbone="10M", against="prompt each, float32", precision="float32")
TIME = WayTime(
    group="score", way="ours", precision="float32", median_ms=2.0, low_ms=1.0, high_ms=4.0, cores_ms=3.0, runs=5
)


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({}, "not measured"),
        ({"ratio": 5.0}, ""),
        ({"ratio": 5.0, "target": 5.0}, "met"),
        ({"ratio": 4.9, "target": 5.0}, "missed"),
        ({"ratio": 9.0, "target": 0.5, "aim": "peak share"}, "not measured"),
        ({"peak_share": 0.6, "target": 0.5, "aim": "peak share"}, "met"),
    ],
)
def test_verdict(told, verdict):
    assert ROW.model_copy(update=told).verdict == verdict


def test_json_gives_back_the_part():
    part = Part(
        part="score", asked=Asked(), date="now", machine={"cores": 2}, rows=[ROW], times=[TIME], facts={"bytes": 8.0}
    )
    assert Part.model_validate_json(part.model_dump_json()) == part


def test_findings_add_up():
    found = Findings([ROW], [TIME], {"a": 1.0})
    found.add(Findings([ROW], [], {"b": "two"}))
    assert (len(found.rows), len(found.times), found.facts) == (2, 1, {"a": 1.0, "b": "two"})
