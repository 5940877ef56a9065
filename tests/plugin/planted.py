"""A world of planted preferences: what a demonstration teaches is known, because it was put there.

There are 36 items in 6 genres. A person's taste is a random map from the genre that they come from to the genre that
they go to. An event is a question (three items of one genre, 3 % of them noise) and an answer: an item of the genre
that the map gives. So a demonstration helps the questions of its own genre and no other, its copies are redundant, an
event of another person misleads, and a change of taste turns good ones bad. A small decoder, trained on blocks side by
side to answer from the demonstrations alone (`python -m benchmarks.planted`), reads them.

It decides that every event has an item code of its own: nothing is a copy of anything else but in kind. Answers are the
36 items, so pools take their labels from the events, not from the likes of the timeline. Source: spec `lrgd`, section
9.

Dimension letters: N events, D genres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from recollect.context.effects import Effects, EffectSettings, Pool, make_pool
from recollect.context.evidence import Timeline
from recollect.model.demonstration_bank import Bank, Banks
from recollect.model.demonstrations import effects, predictions
from recollect.model.language_model import LanguageModel
from recollect.prompt.branches import Branches

GENRES = 6
PER_GENRE = 6
ITEMS = GENRES * PER_GENRE
ARROW, END, START = ITEMS, ITEMS + 1, ITEMS + 2
NOISE = 0.03
ASKED = 3
WEIGHTS = Path(__file__).parents[1] / "context" / "planted" / "decoder.safetensors"


def items_of(genres: Int64[np.ndarray, "*N"], random: np.random.Generator) -> Int64[np.ndarray, "*N"]:
    """Draw an item of each genre."""
    return genres * PER_GENRE + random.integers(0, PER_GENRE, genres.shape)


def questions_of(genres: Int64[np.ndarray, "*N"], random: np.random.Generator) -> Int64[np.ndarray, "*N 3"]:
    """Draw three items of each genre, now and then another one."""
    items = items_of(np.repeat(genres[..., None], ASKED, axis=-1), random)
    noisy = random.random(items.shape) < NOISE
    return np.where(noisy, random.integers(0, ITEMS, items.shape), items)


def decoder_config() -> LlamaConfig:
    """Return the shape of the decoder: 113,600 weights."""
    return LlamaConfig(
        vocab_size=40, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=START,
        eos_token_id=END, pad_token_id=END,
    )  # fmt: skip


def load_decoder(file: Path = WEIGHTS) -> LanguageModel:
    """Load the trained decoder, whose answers are the items."""
    causal = LlamaForCausalLM(decoder_config()).eval()
    states = {name: tensor.float() for name, tensor in load_file(file).items()}
    causal.load_state_dict(states | {"lm_head.weight": states["model.embed_tokens.weight"]})
    return LanguageModel(causal, answers=list(range(ITEMS)))


@dataclass(frozen=True, eq=False)
class Person:
    """Hold the events of a person.

    Parameters
    ----------
    questions : Int64[N, 3]
        Items of each question.
    answers : Int64[N]
        Answer given: that of another person where `foreign`.
    own : Int64[N]
        Genre that the person's own taste leads to at that moment.
    foreign : Bool[N]
        Which events are another person's.
    line : Timeline
        The same events as a timeline, each visible to all later ones.
    """

    questions: Int64[np.ndarray, "N 3"]
    answers: Int64[np.ndarray, " N"]
    own: Int64[np.ndarray, " N"]
    foreign: Bool[np.ndarray, " N"]
    line: Timeline

    def gather(self, line: Timeline, known: int, settings: EffectSettings) -> Pool:
        """Make the pool of a moment, with the items answered as labels."""
        pool = make_pool(line, known, settings)
        return replace(pool, labels=self.answers[pool.support])

    def asked(self, places: Int64[np.ndarray, " Q"], demonstrations: Int64[np.ndarray, " N"]) -> Pool:
        """Make a pool whose queries, all weighed alike, see all demonstrations."""
        count = len(places)
        visible = np.ones((count, len(demonstrations)), np.bool_)
        weights = np.full(count, 1 / count)
        return Pool(self.line, len(self.line), demonstrations, places, visible, weights, self.answers[places])


def draw_person(seed: int, *, events: int, foreign: float, change: int | None = None) -> Person:
    """Draw a person.

    Parameters
    ----------
    seed : int
        Who.
    events : int
        How many.
    foreign : float
        Share of events that are another person's.
    change : int, optional
        From which event on half of the genres lead elsewhere.
    """
    random = np.random.default_rng(seed)
    taste, other = random.integers(0, GENRES, (2, GENRES))
    later = taste.copy()
    moved = random.permutation(GENRES)[: GENRES // 2]
    later[moved] = (taste[moved] + random.integers(1, GENRES, len(moved))) % GENRES
    genres = random.integers(0, GENRES, events)
    changed = np.arange(events) >= (events if change is None else change)
    own = np.where(changed, later[genres], taste[genres])
    alien = random.random(events) < foreign
    answers = items_of(np.where(alien, other[genres], own), random)
    return Person(questions_of(genres, random), answers, own, alien, _timeline(seed, answers))


def _timeline(user: int, answers: Int64[np.ndarray, " N"]) -> Timeline:
    count = len(answers)
    return Timeline(
        user=user,
        rows=np.arange(count),
        items=np.arange(count, dtype=np.int32),
        labels=np.ones(count, np.bool_),
        values=answers.astype(np.float32),
        times=np.arange(count) * 86_400,
        features=np.zeros((count, 4), np.float32),
        visible=np.arange(count, dtype=np.int32),
    )


class PlantedMeasure:
    """Measure a person's demonstrations with the decoder; satisfies `DemonstrationMeasure`.

    Parameters
    ----------
    person : Person
        Whose events.
    banks : Banks
        Keeps what the decoder has encoded.
    """

    def __init__(self, person: Person, banks: Banks) -> None:
        self.person = person
        self.banks = banks

    def tokens(self, pool: Pool) -> Int64[np.ndarray, " N"]:
        """Return six tokens for each."""
        return np.full(len(pool), ASKED + 3)

    def predictions(self, pool: Pool, gates: Float64[np.ndarray, "S N"]) -> Float64[np.ndarray, "S Q A"]:
        """Return the log-probability of each item."""
        bank = self._bank(pool)
        return predictions(self.banks.model, bank, self._queries(pool, bank), gates[:, None, :] * pool.visible)

    def effects(self, pool: Pool, gates: Float64[np.ndarray, " N"]) -> Effects:
        """Measure all candidates at once."""
        bank = self._bank(pool)
        each = gates[None] * pool.visible
        found = effects(self.banks.model, bank, self._queries(pool, bank), pool.labels, gates=each)
        return Effects(found.loss, found.effect, found.share, found.overlap)

    def _bank(self, pool: Pool) -> Bank:
        return self.banks.bank(np.array([START], np.int32), [self._block(one) for one in pool.demonstrations.tolist()])

    def _block(self, event: int) -> Int32[np.ndarray, " T"]:
        question, answer = self.person.questions[event], self.person.answers[event]
        return np.array([*question, ARROW, answer, END], np.int32)

    def _queries(self, pool: Pool, bank: Bank) -> Branches:
        rows = np.concatenate(
            [self.person.questions[pool.support], np.full((len(pool.support), 1), ARROW)], axis=1, dtype=np.int32
        )
        return Branches.of(rows, start=bank.next_position, slots=np.full(len(rows), ASKED, np.int32))


def measures(model: LanguageModel) -> Callable[[Person], PlantedMeasure]:
    """Make the measures of persons who share what the decoder has encoded."""
    banks = Banks(model, revision="planted")
    return lambda person: PlantedMeasure(person, banks)
