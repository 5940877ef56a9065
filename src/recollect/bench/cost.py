"""The cost model: operations and memory traffic of each way, so that a table can say what arithmetic allows.

For P weights of the layers, L layers, attention of width A, keys and values of width S over all layers, width D:

    operations   2 P per token  +  4 L A per pair of tokens that see each other  +  2 D per answer row and position
    numbers      all weights once per pass  +  S per token whose keys and values are written or read

times 3 for a step of tuning (a backward pass is two forward passes); a number takes the bytes of its type. It decides
to count what the mathematics needs, not what a kernel does: a causal mask halves the pairs, padding costs nothing,
activations stay in cache. The ratio of the operations of two ways is what the saving alone allows; a measured ratio
above it comes from better use of the machine. Source of the counts: Kaplan et al., "Scaling laws for neural language
models" (2020), table 1.

Dimension letters: C candidates, P trunk tokens, N tokens of a branch or an event, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Final

__all__ = [
    "Cost",
    "Dimensions",
    "append_cost",
    "cold_cost",
    "encode_cost",
    "expanded_cost",
    "prompts_cost",
    "tuning_cost",
    "warm_cost",
]

CHUNK_TOKENS: Final = 2048
"""Branch tokens that the language model computes together: the weights are read once for so many."""

_BACKWARD_AND_FORWARD: Final = 3.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Hold floating-point operations, and the numbers that are read or written."""

    flops: float
    numbers: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.numbers + other.numbers)

    def times(self, factor: float) -> Cost:
        """Return the cost of doing it so often."""
        return Cost(factor * self.flops, factor * self.numbers)


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Hold the sizes that costs depend on, as a model's configuration states them."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> Dimensions:
        """Read a configuration of `transformers`; what a family does not state is what all families mean by it."""
        heads, width = int(config.num_attention_heads), int(config.hidden_size)
        return cls(
            width=width,
            layers=int(config.num_hidden_layers),
            heads=heads,
            key_value_heads=int(getattr(config, "num_key_value_heads", None) or heads),
            head_width=int(getattr(config, "head_dim", None) or width // heads),
            feed_forward=int(getattr(config, "intermediate_size", None) or 4 * width),
            vocabulary=int(config.vocab_size),
        )

    @property
    def body(self) -> int:
        """Weights of all layers: queries, keys, values, output, and a gated feed-forward part."""
        attention = self.width * self.head_width * (2 * self.heads + 2 * self.key_value_heads)
        return self.layers * (attention + 3 * self.width * self.feed_forward)

    def state_numbers(self, *, grouped: bool = True) -> int:
        """Count the numbers of a token's keys and values; not grouped, every query head would have its own."""
        heads = self.key_value_heads if grouped else self.heads
        return 2 * self.layers * heads * self.head_width

    def pass_cost(self, *, tokens: int, pairs: int, rows: int, columns: int, passes: int, states: int) -> Cost:
        """Return the cost of some forward passes that read `columns` of the output layer at `rows` positions."""
        attention = 4 * self.layers * self.heads * self.head_width * pairs
        flops = 2 * self.body * tokens + attention + 2 * self.width * rows * columns
        numbers = passes * (self.body + self.width * columns) + self.state_numbers() * states
        return Cost(float(flops), float(numbers))


def prompts_cost(sizes: Dimensions, *, candidates: int, trunk: int, branch: int, batch: int) -> Cost:
    """Return the cost of one whole prompt per candidate, whose output layer gives all V logits of the last token."""
    tokens, passes = candidates * (trunk + branch), ceil(candidates / batch)
    pairs = candidates * _triangle(trunk + branch)
    return sizes.pass_cost(
        tokens=tokens, pairs=pairs, rows=candidates, columns=sizes.vocabulary, passes=passes, states=2 * tokens
    )


def expanded_cost(sizes: Dimensions, *, candidates: int, trunk: int, branch: int) -> Cost:
    """Return the cost of a batch of suffixes over the trunk's keys and values, copied for each candidate."""
    tokens = candidates * branch
    states = trunk + 2 * candidates * trunk + 2 * tokens
    pairs = candidates * (branch * trunk + _triangle(branch))
    return sizes.pass_cost(
        tokens=tokens, pairs=pairs, rows=candidates, columns=sizes.vocabulary, passes=1, states=states
    )


def warm_cost(sizes: Dimensions, *, candidates: int, trunk: int, branch: int, answers: int) -> Cost:
    """Return the cost of branches over one trunk that is there: keys and values read once per chunk."""
    tokens = candidates * branch
    passes = ceil(tokens / CHUNK_TOKENS)
    pairs = candidates * (branch * trunk + _triangle(branch))
    states = passes * trunk + 2 * tokens
    return sizes.pass_cost(tokens=tokens, pairs=pairs, rows=candidates, columns=answers, passes=passes, states=states)


def encode_cost(sizes: Dimensions, *, tokens: int) -> Cost:
    """Return the cost of encoding a trunk from nothing; no answer is read."""
    return append_cost(sizes, tokens=tokens, after=0)


def cold_cost(sizes: Dimensions, *, candidates: int, trunk: int, branch: int, answers: int) -> Cost:
    """Return the cost of encoding the trunk and scoring."""
    return encode_cost(sizes, tokens=trunk) + warm_cost(
        sizes, candidates=candidates, trunk=trunk, branch=branch, answers=answers
    )


def append_cost(sizes: Dimensions, *, tokens: int, after: int) -> Cost:
    """Return the cost of appending to a trunk."""
    pairs = tokens * after + _triangle(tokens)
    return sizes.pass_cost(tokens=tokens, pairs=pairs, rows=0, columns=0, passes=1, states=after + 2 * tokens)


def tuning_cost(sizes: Dimensions, *, tokens: int, pairs: int, rows: int, columns: int, passes: int = 1) -> Cost:
    """Return the cost of the forward and backward passes of a step; the optimiser's own is left out."""
    forward = sizes.pass_cost(tokens=tokens, pairs=pairs, rows=rows, columns=columns, passes=passes, states=2 * tokens)
    return forward.times(_BACKWARD_AND_FORWARD)


def _triangle(tokens: int) -> int:
    """Count the pairs of tokens that see each other in a causal row."""
    return tokens * (tokens + 1) // 2
