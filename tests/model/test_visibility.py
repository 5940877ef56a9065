"""What is known of whole segments is what their tokens see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.errors import PromptError
from recollect.model.visibility import check_relation, sees_all_before
from recollect.prompt.tree import Segment, join_segments


@given(st.data())
def test_no_mask_is_needed_where_every_token_sees_all_before_itself(data: st.DataObject):
    count, cached = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3))
    seen = [tuple(data.draw(st.sets(st.integers(0, number - 1)))) if number else () for number in range(count)]
    if data.draw(st.booleans()):
        seen = [tuple(range(number)) for number in range(count)]
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    delta = join_segments(
        [Segment(np.ones(length, np.int32), start=0, sees=sees) for length, sees in zip(lengths, seen, strict=True)]
    )
    relation = np.array(data.draw(st.lists(st.booleans(), min_size=count * cached, max_size=count * cached)), np.bool_)
    relation = relation.reshape(count, cached)
    tokens = np.array_equal(delta.mask(), np.tri(sum(lengths), dtype=np.bool_))
    assert sees_all_before(delta, relation) == (tokens and bool(relation.all()))


def test_a_relation_of_another_size_is_refused():
    with pytest.raises(PromptError, match="does not fit the cache"):
        check_relation(np.ones((1, 3), np.bool_), (1, 2))
