"""Texts that a store can keep: what passes comes back, from either database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.errors import DataError
from recollect.service.fields import ID_LENGTH, check_id, check_text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=ID_LENGTH))
def test_text_is_kept_whatever_it_says(text):
    check_id("an id", text)
    assert text.encode().decode() == text


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "é\udfff"])
def test_what_cannot_be_written_is_refused(text):
    with pytest.raises(DataError, match="a title with a character that cannot be stored"):
        check_text("a title", text)


@pytest.mark.parametrize(("length", "do"), [(0, "give an id"), (ID_LENGTH + 1, "use a shorter id")])
def test_ids_have_a_length(length, do):
    with pytest.raises(DataError, match=do):
        check_id("an id", "x" * length)
