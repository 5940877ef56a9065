"""Periods: which rows f_t may learn from, the shape of the matrix, and PDM and PDT by eye."""

import numpy as np
import pytest

from recollect.data.splits import periods
from recollect.errors import UsageError
from recollect.studies.design import Arm, Design
from recollect.studies.periods import periods_study, split_up_to
from recollect.studies.readings import Readings

WRONG = {("f", 1, 2): 1, ("f", 1, 3): 3, ("f", 2, 3): 2, ("g", 1, 2): 1, ("g", 1, 3): 1, ("g", 2, 3): 1}
"""How many of ten pairs are turned: method, last period of the tuning, period tested."""


@pytest.fixture(scope="module")
def readings(said):
    answers = [
        said(f"{arm} to D{end}", f"D{period}", first=100 * period, pairs=10, wrong=wrong)
        for (arm, end, period), wrong in WRONG.items()
    ]
    return Readings.of(answers, draws=50)


@pytest.fixture(scope="module")
def contrasts(design, readings):
    arms = (Arm("f", "recicl"), Arm("g", "tallrec"))
    two = Design(design.dataset, arms, design.split)
    found = periods_study(count=4, ends=(1, 2)).contrasts(two, readings)
    return {(one.kind, one.name): one.gaps["uauc"].value for one in found}


def test_the_price_of_not_updating(contrasts):
    assert contrasts["PDM", "f: f_2 − f_1 on D3"] == pytest.approx(0.8 - 0.7)
    assert contrasts["PDM", "g: f_2 − f_1 on D3"] == pytest.approx(0.9 - 0.9)
    between = contrasts["PDM between methods", "PDM of f − PDM of g, f_2 and f_1 on D3"]
    assert between == pytest.approx((0.8 - 0.7) - (0.9 - 0.9))


def test_the_fall_over_time(contrasts):
    assert contrasts["PDT", "f: f_1 on D2 − on D3"] == pytest.approx(0.9 - 0.7)
    assert ("PDT", "f: f_2 on D3 − on D3") not in contrasts  # one period tested is no fall


def test_methods_are_compared_at_every_age(contrasts):
    assert contrasts["between methods", "f to D1 − g to D1, D3"] == pytest.approx(0.7 - 0.9)
    growth = contrasts["growth of the difference", "f − g, f_1: on D3 less on D2"]
    assert growth == pytest.approx((0.7 - 0.9) - (0.9 - 0.9))


def test_each_tuning_is_asked_about_every_later_period(design):
    cells = periods_study(count=5, ends=(1, 2)).cells(design)
    asked = {(cell.series, cell.place) for cell in cells if not cell.floor}
    assert asked == {("tiny to D1", f"D{period}") for period in (2, 3, 4)} | {
        ("tiny to D2", f"D{period}") for period in (3, 4)
    }
    parts = periods(design.dataset.log, 5)
    for cell in cells:
        assert np.isin(cell.rows, parts[int(cell.place[1:])]).all()


def test_all_methods_are_asked_about_the_same_rows(design):
    cells = periods_study(count=5, ends=(1, 2)).cells(design)
    for place in ("D3", "D4"):
        rows = [cell.rows for cell in cells if cell.place == place]
        assert all(np.array_equal(rows[0], other) for other in rows)


@pytest.mark.parametrize("recent", [0, 50])
def test_the_last_tenth_chooses_and_nothing_later_is_known(design, recent):
    log, border = design.dataset.log, periods(design.dataset.log, 5)[2][-1]
    split = split_up_to(design, count=5, end=2, recent=recent)
    rows = np.concatenate([split.train, split.valid])
    assert rows.tolist() == list(range(border + 1 - len(rows), border + 1))
    assert len(rows) == (recent or border + 1)
    assert log.time[split.train[-1]] < log.time[split.valid[0]]
    assert len(split.valid) == pytest.approx(len(rows) / 10, abs=5)


@pytest.mark.parametrize("ends", [(), (3, 9), (7, 3), (3, 3)])
def test_ends_that_leave_nothing_to_ask_are_refused(ends):
    with pytest.raises(UsageError, match="tunings that do not fit the periods"):
        periods_study(count=10, ends=ends)
