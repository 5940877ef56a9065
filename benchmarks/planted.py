"""`python -m benchmarks.planted --train FILE`: train the small decoder that reads the world of planted preferences.

What it is: the making of the weights that `tests/plugin/planted.py` loads, in plain torch on one thread. It decides a
schedule in two parts. In the first all demonstrations are the person's own, at least half of them are visible, and the
decoder also predicts the items within questions, which teaches it what a genre is; without that it stays for thousands
of steps at answering what is frequent. In the second, 15 % of demonstrations are another person's, any share of them is
visible, and the answers alone count. The layout is that of the bank: blocks side by side behind the start, queries
behind the longest. Source: spec `lrgd`, section 9, toy A, which has no first part and twice as many steps.

Dimension letters: B persons, D demonstrations, Q queries, T tokens.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from tests.plugin.planted import ARROW, ASKED, END, GENRES, ITEMS, START, decoder_config, items_of, questions_of
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

PERSONS: Final = 32
DEMONSTRATIONS: Final = 12
QUERIES: Final = 8
BLOCK: Final = ASKED + 3
QUERY: Final = ASKED + 1
FIRST_QUERY: Final = 1 + DEMONSTRATIONS * BLOCK
LENGTH: Final = FIRST_QUERY + QUERIES * QUERY

_WARM_UP: Final = 200
_CLIP: Final = 1.0
_DECAY: Final = 0.01
_GENRE_WEIGHT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """Hold a part of the schedule.

    Parameters
    ----------
    steps : int
        Steps of the optimiser.
    horizon : int
        Steps over which the rate falls as a cosine to a twentieth.
    rate : float
        Highest learning rate.
    foreign : float
        Share of demonstrations that are another person's.
    visible : float
        Least share of demonstrations that queries see.
    genres : bool
        Whether the items within questions are predicted too.
    """

    steps: int
    horizon: int
    rate: float
    foreign: float
    visible: float
    genres: bool


SCHEDULE: Final = (
    Part(steps=2_000, horizon=7_000, rate=3e-3, foreign=0.0, visible=0.5, genres=True),
    Part(steps=2_400, horizon=2_400, rate=2e-3, foreign=0.15, visible=0.0, genres=False),
)


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=main.__doc__)
    parser.add_argument("--train", type=Path, metavar="FILE", required=True, help="where the weights go")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and batches (default: 1)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    model = LlamaForCausalLM(decoder_config())
    for number, part in enumerate(SCHEDULE):
        for step, loss in train(model, part, random=np.random.default_rng(options.seed + number)):
            print(f"part {number + 1}, step {step}: {loss:.3f} nats", flush=True)
            write(model, options.train, seed=options.seed)


def train(model: LlamaForCausalLM, part: Part, *, random: np.random.Generator) -> Iterator[tuple[int, float]]:
    """Take the steps of a part; yield, every hundred of them, how many they are and their mean loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=part.rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, part.horizon))
    losses: list[float] = []
    for step in range(1, part.steps + 1):
        batch = draw_batch(part, random)
        answer, genre = batch_losses(model, batch)
        optimizer.zero_grad()
        (answer + _GENRE_WEIGHT * genre if part.genres else answer).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        losses.append(answer.item())
        if step % 100 == 0:
            yield step, float(np.mean(losses[-100:]))


def _rate(step: int, horizon: int) -> float:
    return min(1.0, (step + 1) / _WARM_UP) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / horizon)))


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Hold persons: tokens, which demonstrations each query sees, and the answers of the queries."""

    tokens: Int64[np.ndarray, "B T"]
    visible: Bool[np.ndarray, "B Q D"]
    answers: Int64[np.ndarray, "B Q"]


def draw_batch(part: Part, random: np.random.Generator) -> Batch:
    """Draw persons with a taste each."""
    taste, other = random.integers(0, GENRES, (2, PERSONS, GENRES))
    genres = random.integers(0, GENRES, (PERSONS, DEMONSTRATIONS + QUERIES))
    questions = questions_of(genres, random)
    foreign = random.random(genres.shape) < part.foreign
    foreign[:, DEMONSTRATIONS:] = False
    led = np.where(foreign, np.take_along_axis(other, genres, 1), np.take_along_axis(taste, genres, 1))
    answers = items_of(led, random)
    solved = [questions, np.full((*genres.shape, 1), ARROW), answers[..., None], np.full((*genres.shape, 1), END)]
    blocks = np.concatenate(solved, axis=2)
    tokens = np.concatenate(
        [
            np.full((PERSONS, 1), START),
            blocks[:, :DEMONSTRATIONS].reshape(PERSONS, -1),
            blocks[:, DEMONSTRATIONS:, :QUERY].reshape(PERSONS, -1),
        ],
        axis=1,
    )
    share = part.visible + (1 - part.visible) * random.random((PERSONS, 1, 1))
    visible = random.random((PERSONS, QUERIES, DEMONSTRATIONS)) < share
    return Batch(tokens, visible, answers[:, DEMONSTRATIONS:])


def batch_losses(model: LlamaForCausalLM, batch: Batch) -> tuple[Float32[Tensor, ""], Float32[Tensor, ""]]:
    """Compute the mean loss of the answers, and of the second and third items of all questions, in nats."""
    states = model.model(
        input_ids=torch.from_numpy(batch.tokens),
        attention_mask=_bias(batch.visible),
        position_ids=torch.from_numpy(_positions())[None].expand(PERSONS, -1),
        use_cache=False,
    ).last_hidden_state
    rows = model.lm_head.weight[:ITEMS]
    starts = np.r_[1:FIRST_QUERY:BLOCK, FIRST_QUERY:LENGTH:QUERY]
    ends = np.arange(FIRST_QUERY, LENGTH, QUERY) + QUERY - 1
    inside = np.sort(np.r_[starts, starts + 1])
    answer = states[:, ends] @ rows.T
    genre = states[:, inside] @ rows.T
    return (
        cross_entropy(answer.flatten(0, 1), torch.from_numpy(batch.answers).flatten()),
        cross_entropy(genre.flatten(0, 1), torch.from_numpy(batch.tokens[:, inside + 1]).flatten()),
    )


def _positions() -> Int64[np.ndarray, " T"]:
    blocks = np.tile(1 + np.arange(BLOCK), DEMONSTRATIONS)
    return np.concatenate([[0], blocks, np.tile(1 + BLOCK + np.arange(QUERY), QUERIES)])


def _bias(visible: Bool[np.ndarray, "B Q D"]) -> Float32[Tensor, "B 1 T T"]:
    """Let each block see the start and itself, and each query its demonstrations besides."""
    part = np.repeat(np.arange(DEMONSTRATIONS + QUERIES), [BLOCK] * DEMONSTRATIONS + [QUERY] * QUERIES)
    part = np.concatenate([[-1], part])
    own = (part[:, None] == part) & np.tri(LENGTH, dtype=np.bool_)
    sees = np.broadcast_to(own | (part == -1), (len(visible), LENGTH, LENGTH)).copy()
    shown = np.repeat(np.repeat(visible, QUERY, axis=1), BLOCK, axis=2)
    sees[:, FIRST_QUERY:, 1:FIRST_QUERY] = shown
    bias = torch.zeros(sees.shape).masked_fill_(torch.from_numpy(~sees), torch.finfo(torch.float32).min)
    return bias[:, None]


def write(model: LlamaForCausalLM, file: Path, *, seed: int) -> None:
    """Write the weights in half precision, with how they were made."""
    states = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items() if "lm_head" not in name}
    made = {"seed": str(seed), "command": f"python -m benchmarks.planted --train {file.name} --seed {seed}"}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(states, file, metadata=made)


if __name__ == "__main__":
    main()
