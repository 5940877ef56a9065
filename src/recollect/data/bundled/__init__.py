"""Data that come with the package: one real log under a licence that lets us hand it on.

It decides that bundled data are ordinary dataset folders, made with `recollect import`, with their licence and their
source beside them.
"""

from __future__ import annotations

from pathlib import Path

from recollect.data.dataset import Dataset

__all__ = ["movietweetings"]


def movietweetings() -> Dataset:
    """Load MovieTweetings: 141,695 ratings of 21,081 people, from February to November 2013.

    A like is a rating of 8 or more. Licence (MIT) and source lie in the folder `movietweetings` beside this file.

    Raises
    ------
    SourceNotFound
        If the package was installed without its data.
    """
    return Dataset.load(Path(__file__).parent / "movietweetings")
