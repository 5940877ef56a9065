"""The test run really checks arrays and annotations; without this test a broken hook would pass unseen."""

from typing import Protocol, Self

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import TypeCheckError
from runtime_types import checked

from recollect.evaluation.metrics import auc


class Speaker(Protocol):
    """A protocol that cannot be checked while running."""

    def speak(self) -> str: ...


class Shelf:
    """A class whose method returns itself."""

    @checked
    def put(self, book: int) -> Self:
        self.book = book
        return self


@checked
def listen(speaker: Speaker, times: int) -> str:
    return speaker.speak() * times


def test_package_is_checked_while_running():
    with pytest.raises(TypeCheckError):
        auc(np.zeros(3, np.bool_), np.zeros(4))
    with pytest.raises(TypeCheckError):
        auc(np.zeros(3, np.int64), np.zeros(3))  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_checked_does_not_hide_the_rest():
    assert isinstance(Shelf().put(1), Shelf)
    with pytest.raises(BeartypeCallHintParamViolation):
        Shelf().put("one")  # pyright: ignore[reportArgumentType]
    with pytest.raises(BeartypeCallHintParamViolation):
        listen(Shelf(), "twice")  # pyright: ignore[reportArgumentType]
