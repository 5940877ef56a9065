"""Buckets of tokens: full at first, filled at a steady rate, kept for the callers seen last."""

import pytest

from recollect.service.limits import Buckets
from recollect.service.problems import Refused


def test_a_bucket_gives_its_burst_then_its_rate():
    now = [0.0]
    buckets = Buckets(rate=2.0, burst=3, clock=lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    now[0] = 0.5
    assert [buckets.take("a") for _ in range(2)] == [0.0, 0.5]
    now[0] = 100.0
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_no_rate_is_no_limit():
    buckets = Buckets(rate=0.0, burst=1)
    assert not any(buckets.take("a") for _ in range(10))


def test_a_crowd_of_callers_costs_no_memory():
    buckets = Buckets(rate=1.0, burst=1, clock=lambda: 0.0)
    for number in range(20_000):
        buckets.take(f"caller {number}")
    assert len(buckets) == 10_000


def test_a_refusal_says_when_to_come_again():
    buckets = Buckets(rate=0.1, burst=1, clock=lambda: 0.0)
    buckets.admit("a")
    with pytest.raises(Refused) as refused:
        buckets.admit("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "10")
