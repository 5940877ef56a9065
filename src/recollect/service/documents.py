"""Documents of a reranking request, and the items that they are: by id, else by title.

It decides that titles are compared without regard to case, and that the index of a catalog is kept until the catalog
grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from recollect.data.catalog import Catalog
from recollect.errors import UnknownItem
from recollect.service.shapes import Document


def items_of(documents: Sequence[str | Document], catalog: Catalog) -> list[str]:
    """Return the id of each document's item.

    Raises
    ------
    UnknownItem
        If a document is no item.
    """
    names = _names(catalog)
    return [_item(one, place, names) for place, one in enumerate(documents)]


@lru_cache(maxsize=1)
def _names(catalog: Catalog) -> Mapping[str, str]:
    """Map ids as they are, and titles in folded case behind a mark that no id has, to ids."""
    titles = {_as_title(title): item for item, title in zip(catalog.ids, catalog.titles, strict=True)}
    return titles | {item: item for item in catalog.ids}


def _as_title(text: str) -> str:
    return f"\0{text.casefold()}"


def _item(document: str | Document, place: int, names: Mapping[str, str]) -> str:
    identity, text = (document, document) if isinstance(document, str) else (document.id, document.text)
    found = None if identity is None else names.get(identity)
    if found is None and text is not None:
        found = names.get(_as_title(text))
    if found is None:
        raise UnknownItem(
            f"document {place} is no item of the catalog",
            got=repr(identity or text),
            expected="the id or the title of an item",
            do="add it with POST /v1/items, or leave it out",
        )
    return found
