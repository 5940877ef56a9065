"""recollect: a language model that recommends from the last click, without ever being retrained.

This is the front door: the names that a program needs, each fetched from its room on first use. It decides that
`import recollect` costs milliseconds and loads neither torch nor any other large library.

    from recollect import Dataset, Recommender
    dataset = Dataset.load("DATA")
    recommender = Recommender.load("RUN", dataset)
    for item in recommender.recommend("42", at=None, top=10, explain=False).items:
        print(item.rank, item.title)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recollect.client import Client
    from recollect.data.catalog import Catalog, Users
    from recollect.data.dataset import Dataset
    from recollect.data.log import EventLog
    from recollect.data.readers import read
    from recollect.errors import RecollectError
    from recollect.rank.assess import compare, evaluate
    from recollect.rank.recommender import Recommender
    from recollect.recipe import Recipe, load_recipe
    from recollect.tuning.run import tune

# Threads of torch that wait should spin briefly, then sleep. GNU's OpenMP spins for milliseconds by default, which is
# tens of times slower beside one other busy program; sleeping at once costs half as much again when nothing else runs.
# The variable is read when torch is loaded, and a value that is set already wins.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.1.0"

__all__ = [
    "Catalog",
    "Client",
    "Dataset",
    "EventLog",
    "Recipe",
    "RecollectError",
    "Recommender",
    "Users",
    "compare",
    "evaluate",
    "load_recipe",
    "read",
    "tune",
]

_ROOMS = {
    "Catalog": "data.catalog",
    "Client": "client",
    "Dataset": "data.dataset",
    "EventLog": "data.log",
    "Recipe": "recipe",
    "RecollectError": "errors",
    "Recommender": "rank.recommender",
    "Users": "data.catalog",
    "compare": "rank.assess",
    "evaluate": "rank.assess",
    "load_recipe": "recipe",
    "read": "data.readers",
    "tune": "tuning.run",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from the room where it lives, on first use.

    Raises
    ------
    AttributeError
        If the package offers no such name.
    """
    if name not in _ROOMS:
        message = f"module 'recollect' has no attribute {name!r}; it offers {', '.join(__all__)}"
        raise AttributeError(message)
    value = getattr(import_module(f"recollect.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, fetched or not."""
    return sorted({*globals(), *__all__})
