"""Counting puts rows in the order that comparing gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data.order import stable_order


@pytest.mark.parametrize("dtype", [np.int32, np.int64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("most", [3, 200_000, 2**31 - 1])
@given(data=st.data())
def test_one_key_is_stable(data, dtype, most):
    key = np.array(data.draw(st.lists(st.integers(-3, most))), dtype)
    assert stable_order(key).tolist() == np.argsort(key, kind="stable").tolist()


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40) | st.integers(0, 2), st.integers(0, 2), st.integers(0, 99_999))))
def test_several_keys_are_the_order_of_tuples(rows):
    keys = np.array(rows, np.int64).reshape(-1, 3).T
    assert stable_order(*keys).tolist() == sorted(range(len(rows)), key=lambda row: rows[row])


def test_many_rows_count_in_one_pass():
    key = np.random.default_rng(0).integers(0, 90_000, 100_000).astype(np.int32)
    assert np.array_equal(stable_order(key), np.argsort(key, kind="stable"))
