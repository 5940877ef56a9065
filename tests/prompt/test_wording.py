"""The wording: one form for all choices, titles in quotes, values as in the log."""

import pytest

from recollect.prompt import wording
from recollect.prompt.answers import AnswerSettings
from recollect.prompt.block import BlockSettings


@pytest.mark.parametrize(
    ("form", "likes_only", "expected"),
    [
        ("plain", True, ("\nLiked:",)),
        ("plain", False, ("\nSeen:",)),
        ("lists", True, ("\nLiked:",)),
        ("lists", False, ("\nLiked:", "\nDisliked:")),
        ("stars", True, ("\nStars:",)),
        ("stars", False, ("\nStars:",)),
    ],
)
def test_heads_say_what_is_listed(form, likes_only: bool, expected: tuple[str, ...]):
    assert wording.heads(BlockSettings(form=form), likes_only=likes_only) == expected


def test_a_title_stands_in_quotes_on_one_line():
    assert wording.quoted(' The\n"Gnu"  II ') == ' "The "Gnu" II"'


@pytest.mark.parametrize(("value", "expected"), [(4.0, " 4"), (0.5, " 0.5"), (0.1, " 0.1"), (1e9, " 1000000000")])
def test_values_stand_as_in_the_log(value: float, expected: str):
    assert wording.stars(value) == expected


def test_only_stars_need_a_hint():
    hinted = [form for form in ("plain", "lists", "stars") if "stars" in _intro(form)]
    assert hinted == ["stars"]


def _intro(form) -> str:
    return wording.intro(BlockSettings(form=form, noun="film"), words=("no", "yes"))


def test_the_introduction_names_the_noun_and_the_answers():
    assert all(word in _intro("plain") for word in ("film", "yes", "no"))


def test_an_unknown_person_is_not_introduced():
    assert wording.profile("") == ""
    assert wording.profile("gender F") == "\nThe person: gender F."


def test_sentences_list_all_that_a_vocabulary_should_know():
    text = "".join(wording.sentences(BlockSettings(form="lists"), AnswerSettings(like="aye")))
    assert all(part in text for part in ("\nLiked:", "\nDisliked:", wording.QUESTION, wording.MARKER, " aye", " no"))
