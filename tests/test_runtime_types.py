"""The test run really checks arrays and annotations; without this test a broken hook would pass unseen."""

from typing import Protocol, Self

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation
from runtime_types import checked

from recollect.evaluation.metrics import auc
from recollect.prompt.branches import Branches


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
    with pytest.raises(BeartypeCallHintParamViolation):
        auc(np.zeros(3, np.bool_), np.zeros(4))
    with pytest.raises(BeartypeCallHintParamViolation):
        auc(np.zeros(3, np.int64), np.zeros(3))  # pyright: ignore[reportArgumentType]


def test_data_classes_are_checked_when_they_are_made():
    narrow, wide = np.zeros((2, 3), np.int32), np.zeros((2, 3), np.int64)
    with pytest.raises(BeartypeCallHintParamViolation):
        Branches(
            tokens=wide,  # pyright: ignore[reportArgumentType]
            items=narrow,
            features=np.zeros((2, 3, 0), np.float32),
            positions=narrow,
            slots=np.zeros(2, np.int32),
        )


def test_what_cannot_be_checked_does_not_hide_the_rest():
    assert isinstance(Shelf().put(1), Shelf)
    with pytest.raises(BeartypeCallHintParamViolation):
        Shelf().put("one")  # pyright: ignore[reportArgumentType]
    with pytest.raises(BeartypeCallHintParamViolation):
        listen(Shelf(), "twice")  # pyright: ignore[reportArgumentType]
