"""The comparison of layouts runs on a small model, and its figures are about the people that it says."""

import json

import pytest


def test_it_compares_people_with_events_enough(compared):
    result, printed = compared("layouts", "--people", "3")
    assert result == json.loads(printed)
    assert (result["people"], result["demonstrations"], result["queries"]) == (3, 8, 8)
    means = result["means"]
    assert means["effect, leave-one-out in blocks"]["mean"] > means["effect, leave-one-out as served"]["mean"]
    assert means["set effect in blocks"]["mean"] != pytest.approx(means["set effect as served"]["mean"])
