"""The front door of the package."""

from importlib import metadata

import pytest

import recollect


def test_version_is_the_installed_one():
    assert recollect.__version__ == metadata.version("recollect")


def test_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'Recomender'; it offers .*Recommender"):
        _ = recollect.Recomender  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", recollect.__all__)
def test_every_public_name_is_there(name):
    assert getattr(recollect, name).__module__.startswith("recollect.")
    assert name in dir(recollect)
