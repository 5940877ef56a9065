"""Occasions: each row once, with all others of its person that know the same events."""

import numpy as np
import pytest
from blocks import context_of, random_log
from hypothesis import given
from hypothesis import strategies as st

from recollect.prompt.occasions import occasions


@given(st.integers(1, 25), st.integers(1, 20), st.integers(0, 99), st.integers(1, 4))
def test_rows_that_know_the_same_come_together(count: int, span: int, seed: int, most: int):
    context = context_of(random_log(count=count, span=span, seed=seed))
    rows = np.arange(count // 2, count)
    groups = list(occasions(context, rows, most=most))
    assert sorted(row for one in groups for row in one.line.rows[one.places].tolist()) == rows.tolist()
    for one in groups:
        assert len(one.places) <= most
        assert (one.line.visible[one.places] == one.known).all()


@pytest.mark.parametrize("blind", [False, True])
def test_blind_rows_know_nothing(blind: bool):
    context = context_of(random_log(count=20, span=99, seed=0))
    known = [one.known for one in occasions(context, np.arange(20), most=9, blind=blind)]
    assert (max(known) == 0) is blind


def test_no_rows_make_no_occasion():
    assert not list(occasions(context_of(random_log(count=5, span=5, seed=0)), np.zeros(0, np.int64), most=9))
