"""Chains: several runs of segments over one beginning, and leaves that leave them anywhere."""

import numpy as np

from recollect.prompt.chain import Link, join_links


def link(*ids: int, **place: int) -> Link:
    return Link(np.array(ids, np.int32), **place)


def test_links_see_the_beginning_and_their_own_chain():
    tree = join_links(
        [
            link(1, 2),
            link(3, start=2, first=1, end=1),
            link(4, start=3, first=1, end=2),
            link(5, start=2, first=3, end=3),
        ],
        [link(6, 7, start=3, first=1, end=2, row=40), link(8, start=2, first=3, end=3, row=41)],
    )
    assert tree.sees.astype(int).tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ]
    assert tree.positions.tolist() == [0, 1, 2, 3, 2, 3, 4, 2]
    assert (tree.slots.tolist(), tree.slot_rows.tolist()) == ([6, 7], [40, 41])
