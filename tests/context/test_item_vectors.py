"""Item vectors: found again by id, open for new items."""

from dataclasses import replace

import numpy as np
from worlds import planted_world, small_recipe

from recollect.context.item_vectors import ItemVectors
from recollect.data.catalog import Catalog


def test_another_catalog_finds_its_vectors_and_new_items_get_text_only():
    world = planted_world()
    vectors = ItemVectors.fit(world, np.arange(300), small_recipe().vectors)
    catalog = world.catalog
    turned = Catalog(
        ids=("new", *catalog.ids[::-1]),
        titles=("Horror of the 99th night (1999)", *catalog.titles[::-1]),
        genres=(("Horror",), *catalog.genres[::-1]),
        years=np.concatenate([[1999], catalog.years[::-1]]).astype(np.int16),
    )
    other = vectors.extended(turned)
    assert np.array_equal(other.static[1:], vectors.static[::-1])
    text = vectors.static.shape[1] - vectors.collaborative
    assert np.any(other.static[0, :text])
    assert not np.any(other.static[0, text:])


def test_collaborative_vectors_look_at_the_given_rows_only():
    world = planted_world()
    settings = small_recipe().vectors
    later_changed = planted_world(seed=0)
    label = later_changed.log.label.copy()
    label[300:] = ~label[300:]
    log = replace(later_changed.log, label=label)
    changed = replace(world, log=log)
    first, second = (ItemVectors.fit(one, np.arange(300), settings).static for one in (world, changed))
    assert np.array_equal(first, second)
