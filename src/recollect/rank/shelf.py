"""The shelf: all that a recommender makes of items and users, as one value that grows without a restart.

It decides that a catalog with more items behind the old ones costs only these: their vectors, their titles' tokens,
room in the tables. Whatever else changes, a text of an item or a profile, makes the shelf anew. Either way it equals
the shelf of a recommender that was started with that catalog: an item that the run knows gets what the run learned of
it, another one what its text says. Codes never change, so encoded trunks stay valid where the shelf grew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from recollect.context.item_vectors import ItemVectors
from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.model.item_channel import ItemChannel
from recollect.model.language_model import LanguageModel
from recollect.prompt.prompter import Prompter
from recollect.prompt.stream import StreamLayout
from recollect.prompt.stream_prompter import StreamPrompter
from recollect.run.parts import join_model, make_channel
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel


@dataclass(frozen=True, eq=False, slots=True)
class Shelf:
    """Hold items and users, and what a model makes of them.

    Parameters
    ----------
    origin : TunedModel
        The model as it was handed in, set to its own catalog.
    places : dict of str to int
        Where the origin's vectors hold each item.
    tuned : TunedModel
        The same model, set to the catalog below.
    dataset : Dataset
        The imported log, with the users and items of its import.
    catalog, users : Catalog, Users
        All items and users, those of the import first.
    prompter : Prompter
        Of these.
    """

    origin: TunedModel
    places: dict[str, int]
    tuned: TunedModel
    dataset: Dataset
    catalog: Catalog
    users: Users
    prompter: Prompter

    @classmethod
    def of(cls, tuned: TunedModel, dataset: Dataset) -> Shelf:
        """Make the shelf of an imported dataset."""
        places = {identity: number for number, identity in enumerate(tuned.vectors.ids)}
        fitted = tuned.fitted_to(dataset.catalog)
        prompter = make_prompter(fitted, dataset)
        return cls(tuned, places, fitted, dataset, dataset.catalog, dataset.users, prompter)

    @property
    def model(self) -> LanguageModel:
        """What answers."""
        return self.tuned.language_model

    def grows_to(self, catalog: Catalog) -> bool:
        """Return whether a catalog holds our items, unchanged, and perhaps others behind them."""
        count, ours = len(self.catalog), self.catalog
        same = catalog.ids[:count] == ours.ids and catalog.titles[:count] == ours.titles
        return same and catalog.genres[:count] == ours.genres and np.array_equal(catalog.years[:count], ours.years)

    def with_catalog(self, catalog: Catalog) -> Shelf:
        """Return the shelf of a catalog in which no item has another code than in ours.

        Raises
        ------
        ModelError
            If the backbone cannot be set to it.
        """
        model = self.model
        tuned = self._grown(catalog) if self.grows_to(catalog) else self.origin.fitted_to(catalog)
        tuned.language_model.decoder, tuned.language_model.cache_kind = model.decoder, model.cache_kind
        tuned.language_model.eval()
        return self._prompting(replace(self, tuned=tuned, catalog=catalog))

    def with_users(self, users: Users) -> Shelf:
        """Return the shelf of the same items and more users."""
        return self._prompting(replace(self, users=users))

    def without_users(self, users: Sequence[str]) -> Shelf:
        """Return the shelf without names and profiles of some users; their codes stay taken, so that none moves."""
        codes = {self.users.find(user, -1) for user in users} - {-1}
        if not codes:
            return self
        return replace(self, users=without(self.users, users), prompter=_without_profiles(self.prompter, codes))

    def _grown(self, catalog: Catalog) -> TunedModel:
        """Set the model to a catalog with more items, looking at these alone."""
        new = _part(catalog, len(self.catalog))
        places = np.array([self.places.get(identity, -1) for identity in new.ids], np.int64)
        static = np.concatenate([self.tuned.vectors.static, self._vectors(new, places)])
        vectors = replace(self.tuned.vectors, ids=catalog.ids, static=static)
        channel = cast(ItemChannel | None, self.model.channel)
        if channel is None:
            return replace(self.tuned, vectors=vectors)
        grown = self._channel(channel, vectors, places)
        model = join_model(self.model.causal, self.tuned.text, grown)
        return replace(self.tuned, vectors=vectors, language_model=model)

    def _vectors(self, new: Catalog, places: Int64[np.ndarray, " M"]) -> Float32[np.ndarray, "M K"]:
        """Return the vectors of new items."""
        known, origin = places >= 0, self.origin.vectors
        rows = np.zeros((len(new), origin.static.shape[1]), np.float32)
        rows[known] = origin.static[places[known]]
        if not known.all():
            text = origin.encoder.encode(new)
            rows[~known, : text.shape[1]] = text[~known]
        return rows

    def _channel(self, channel: ItemChannel, vectors: ItemVectors, places: Int64[np.ndarray, " M"]) -> ItemChannel:
        """Make an item channel with more rows; its layers are shared."""
        with torch.device("meta"):  # no random weights that are replaced at once
            grown = cast(ItemChannel, make_channel(vectors, self.tuned.recipe))
        grown.item, grown.answer = channel.item, channel.answer
        learned = cast(ItemChannel, self.origin.language_model.channel).learned
        if channel.learned is not None and learned is not None:
            rows = torch.zeros(len(places), learned.weight.shape[1])
            known = np.flatnonzero(places >= 0)
            rows[torch.from_numpy(known)] = learned.weight.detach()[torch.from_numpy(places[known])]
            grown.learned = nn.Embedding.from_pretrained(torch.cat([channel.learned.weight.detach(), rows]))
        return grown

    def _prompting(self, shelf: Shelf) -> Shelf:
        """Give a shelf its prompter: ours with what is new, where that is possible."""
        layout = self.prompter.layout if isinstance(self.prompter, StreamPrompter) else None
        grows = self.grows_to(shelf.catalog) and _grows(self.users, shelf.users)
        if layout is None or not grows:
            return replace(shelf, prompter=make_prompter(shelf.tuned, _without_log(shelf)))
        items, users = _part(shelf.catalog, len(self.catalog)), _new_users(shelf.users, len(self.users))
        more = StreamLayout.of(shelf.tuned.vocabulary, items, users, layout.settings)
        joined = replace(
            layout,
            titles=np.concatenate([layout.titles, more.titles]),
            offsets=np.concatenate([layout.offsets, layout.offsets[-1] + more.offsets[1:]]),
            profiles=[*layout.profiles, *more.profiles],
        )
        return replace(shelf, prompter=replace(cast(StreamPrompter, self.prompter), layout=joined))


def without(users: Users, names: Iterable[str]) -> Users:
    """Return users of whom some have lost name and attributes; all keep their codes."""
    codes = {users.find(name, -1) for name in names} - {-1}
    if not codes:
        return users
    ids = tuple(f"\x00erased {code}" if code in codes else one for code, one in enumerate(users.ids))
    return Users(
        ids,
        {
            name: tuple("" if code in codes else value for code, value in enumerate(column))
            for name, column in users.attributes.items()
        },
    )


def _without_profiles(prompter: Prompter, codes: set[int]) -> Prompter:
    """Show nothing of some users' profiles any more, where profiles are kept as tokens."""
    if not isinstance(prompter, StreamPrompter):
        return prompter
    layout = prompter.layout
    profiles = [tokens[:1] if code in codes else tokens for code, tokens in enumerate(layout.profiles)]
    return replace(prompter, layout=replace(layout, profiles=profiles))


def _part(catalog: Catalog, start: int) -> Catalog:
    """Return the items from a code on, as a catalog of their own."""
    return Catalog(catalog.ids[start:], catalog.titles[start:], catalog.genres[start:], catalog.years[start:])


def _new_users(users: Users, start: int) -> Users:
    return Users(users.ids[start:], {name: column[start:] for name, column in users.attributes.items()})


def _grows(old: Users, new: Users) -> bool:
    count = len(old)
    columns = old.attributes.keys() == new.attributes.keys()
    return (
        columns
        and new.ids[:count] == old.ids
        and all(new.attributes[n][:count] == c for n, c in old.attributes.items())
    )


def _without_log(shelf: Shelf) -> Dataset:
    """Return a dataset of items and users alone, which is all that a prompter reads."""
    nothing = np.zeros(0, np.int32)
    log = EventLog(
        user=nothing, item=nothing, time=np.zeros(0, np.int64), value=np.zeros(0, np.float32),
        label=np.zeros(0, np.bool_), user_count=len(shelf.users), item_count=len(shelf.catalog),
    )  # fmt: skip
    return Dataset(log, shelf.catalog, shelf.users, shelf.dataset.facts)
