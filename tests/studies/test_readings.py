"""Readings: numbers that one can check by eye, means over seeds, and pairing."""

import pytest

from recollect.studies.readings import Readings


def test_a_point_is_what_was_measured(said):
    point = Readings.of([said("m", "D1", wrong=1)], draws=20).points()[0]
    assert (point.series, point.place, point.rows, point.seeds) == ("m", "D1", 8, [0])
    assert point.uauc == 3 / 4  # one of four users is turned
    assert point.auc == (3 * 3 + 1 * 3 / 2 + 3 * 1 / 2) / (4 * 4)  # pairs of like and other; ties count half


def test_seeds_are_averaged(said):
    answers = [said("m", "D1", seed=seed, wrong=wrong) for seed, wrong in ((0, 0), (1, 1), (2, 2))]
    point = Readings.of(answers, draws=20).points()[0]
    assert point.by_seed["uauc"] == [1, 3 / 4, 2 / 4]
    assert point.uauc == pytest.approx(3 / 4)
    assert point.seeds == [0, 1, 2]


def test_a_contrast_is_a_sum_less_a_sum(said):
    readings = Readings.of([said("a", "x"), said("a", "y", wrong=1), said("b", "x", wrong=2)], draws=50)
    gap = readings.contrast("k", "n", plus=[("a", "x")], minus=[("b", "x")]).gaps["uauc"]
    assert gap.value == 1 - 2 / 4
    double = readings.contrast("k", "n", plus=[("a", "x"), ("a", "y")], minus=[("b", "x"), ("b", "x")])
    assert double.gaps["uauc"].value == (1 + 3 / 4) - 2 * (2 / 4)


def test_equal_answers_to_equal_rows_differ_by_nothing_in_every_draw(said):
    readings = Readings.of([said("a", "x", wrong=2, pairs=20), said("b", "x", wrong=2, pairs=20)], draws=50)
    gap = readings.contrast("k", "n", plus=[("a", "x")], minus=[("b", "x")]).gaps["auc"]
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)


def test_other_rows_are_drawn_apart(said):
    readings = Readings.of([said("a", "x", wrong=5, pairs=20), said("a", "y", wrong=5, pairs=20, first=100)], draws=50)
    gap = readings.contrast("k", "n", plus=[("a", "x")], minus=[("a", "y")]).gaps["auc"]
    assert gap.value == 0
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < 0 < gap.high


def test_changes_and_versus_name_what_they_compare(said):
    answers = [said(series, place) for series in "ab" for place in ("0", "1")] + [said("a", "2")]
    readings = Readings.of(answers, draws=5)
    assert [one.name for one in readings.changes("a")] == ["a: 1 − 0", "a: 2 − 0"]
    assert [one.name for one in readings.versus("a", "b")] == ["a − b, 0", "a − b, 1"]
