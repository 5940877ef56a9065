"""What the page says: moves, reasons, who answered and that the model is the same; and texts of data made harmless."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.rank.ranking import RankedItem, Ranking, Reason, Trace
from recollect.service.page_views import FALLBACKS, Change, Shown, say_model, view_list
from recollect.service.page_words import TITLE_LENGTH, fit
from recollect.service.queries import Answer, Explanation

REASONS = (Reason("x", "An <old> friend", True, 0.5, 1), Reason("y", "A bore", False, -0.25, 2))


TRACE = Trace(
    user="u", time=9, known=3, shown=3, dropped=0, demonstrations="", candidates=30, chosen="all", tokens_reused=7,
    tokens_new=2, trunk_bytes=100, milliseconds=3.0,
)  # fmt: skip


def answer(*items: str, ranker: str = "model", fallback: str | None = None) -> Answer:
    ranked = tuple(RankedItem(place, item, item.upper(), 0.5) for place, item in enumerate(items, start=1))
    return Answer("r1", ranker, fallback, "nano", 7, Ranking(ranked, TRACE), 31.0)


def explanation(*items: str, digest: str = "d" * 64, untouched: bool = True) -> Explanation:
    ranked = tuple(RankedItem(1, item, item, 0.5, REASONS) for item in items)
    return Explanation("r1", "u", "model", None, "nano", 0, ranked, True, {}, digest, untouched=untouched)


def pressed(*before: str, digest: str = "d" * 64) -> Change:
    return Change("Q", True, 4.0, Shown({item: item.upper() for item in before}, digest))


def test_moves_are_told_in_signs_and_in_words():
    view = view_list(answer("c", "a", "x", "d"), explanation(), pressed("a", "b", "c", "d"))
    assert [row.move.sign for row in view.rows] == ["▲ 2", "▼ 1", "new", "="]
    assert [row.move.words for row in view.rows] == ["up 2 places", "down 1 place", "new in the list", "where it was"]
    assert view.left == ("B",)
    assert view.summary == "You liked Q. 3 of 4 places changed. First is C."
    assert [value for value, _ in view.figures] == ["4.0 ms", "31 ms", "3 of 4", "same"]


def test_without_a_list_before_nothing_has_moved():
    view = view_list(answer("a"), None, None)
    assert (view.rows[0].move.sign, view.left, view.summary) == ("", (), "First is A.")


def test_reasons_come_with_their_item_and_their_share_of_the_strongest():
    first, second = view_list(answer("a", "b"), explanation("a"), None).rows
    assert [(one.title, one.weight, one.share, one.speaks_for) for one in first.reasons] == [
        ("An <old> friend", "+0.50", 100, True),
        ("A bore", "−0.25", 50, False),
    ]
    assert second.reasons == ()


@pytest.mark.parametrize("fallback", [*FALLBACKS, "something new"])
def test_a_fallback_says_why(fallback):
    view = view_list(answer("a", ranker="light", fallback=fallback), None, None)
    assert view.ranker.startswith("The light ranker answered, because ")
    assert FALLBACKS.get(fallback, fallback) in view.ranker
    assert not {name for name, _ in view.facts} & {"Tokens read anew"}


@pytest.mark.parametrize(
    ("digest", "before", "said"),
    [
        ("a" * 64, Shown({}, "a" * 64), "The model was not touched"),
        ("a" * 64, Shown({}, "b" * 64), "Another model answers now"),
        ("a" * 64, None, "aaaaaaaaaaaa"),
        ("", Shown({}, "b" * 64), "No event touches the model"),
    ],
)
def test_the_model_is_said_to_be_the_same_only_if_it_is(digest, before, said):
    assert said in say_model(digest, before)


def test_weights_that_changed_are_not_said_to_be_the_same():
    changed = view_list(answer("a"), explanation("a", untouched=False), pressed("b"))
    assert "was not touched" not in changed.model
    assert ("same", "weights as before") not in changed.figures


def test_an_empty_list_is_no_fault():
    assert view_list(answer(), None, pressed("a")).summary == (
        "You liked Q. 0 of 0 places changed. There is nothing left to recommend."
    )


@given(st.text(st.characters(), max_size=400))
def test_texts_of_data_are_one_harmless_line(text):
    line = fit(text)
    assert len(line) <= TITLE_LENGTH
    assert all(unicodedata.category(one) not in {"Cc", "Cs", "Zl", "Zp"} for one in line)
    assert fit(line) == line
