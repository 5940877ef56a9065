"""What a tuning costs, said before it starts: weights, floating-point operations, memory, hours.

What it is: arithmetic on the shape of a model, which is built without any memory for its weights. For P weights of the
body, L layers, attention of width A over rows of T tokens, a token costs

    forward    2 P + 4 L T A          each weight multiplies and adds; scores and their use, both over the whole row
    backward   4 P + 8 L T A          twice that; without the weights' own gradients (LoRA) 2 P + 8 L T A
    again      2 P + 4 L T A          if activations are computed again

and an answer slot 2 and 4 (or 2) times the rows of the output layer that are asked, times the width D. Source of the
counts: Kaplan et al., "Scaling laws for neural language models" (2020), table 1, with the factor 2 of a multiplication
and an addition, and attention over whole rows, since packed rows have no triangle that a kernel could skip.

What it decides: memory is that of the tuning loop here: weights; and for every tuned weight, in float32, a gradient,
two moments of AdamW and three copies (the average, the best one, the one set aside while the average is judged). Of the
activations, 10 D + 4 F numbers per token and layer are kept (F: width of the feed-forward part), or D if the others
are computed again; beside them the mask of each row. That is rough: within a factor of two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from recollect.model.adapters import count_lora
from recollect.model.load_failures import loading
from recollect.model.settings import PretrainedBackbone, TuningSettings

__all__ = [
    "Memory",
    "ModelShape",
    "Work",
    "device_memory",
    "measure_speed",
    "sketch",
    "tuning_flops",
    "tuning_hours",
    "tuning_memory",
]

_FLOAT: Final = 4
_OF_EACH_TUNED: Final = {"gradients": 1, "moments": 2, "copies": 3}
_UTILISATION: Final = 0.5  # of the speed of one large matrix product, which a whole model reaches


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Hold the sizes that costs depend on.

    Parameters
    ----------
    total
        All weights.
    body
        Weights of the layers: no input vectors, no output layer.
    tuned
        Weights that are tuned, an adapter's among them.
    adapter
        Weights of the adapter alone.
    layers, width, attention, feed_forward, vocabulary
        L, D, A, F and V.
    """

    total: int
    body: int
    tuned: int
    adapter: int
    layers: int
    width: int
    attention: int
    feed_forward: int
    vocabulary: int

    @classmethod
    def of(cls, causal: PreTrainedModel, tuning: TuningSettings) -> ModelShape:
        """Measure a model, which may be a sketch, as it will be tuned.

        Parameters
        ----------
        causal
            A model without an adapter.
        tuning
            Which weights will be tuned.

        Raises
        ------
        ModelError
            If the model has no module of the names that shall get an adapter.
        """
        config: Any = causal.config.get_text_config()
        total = sum(weight.numel() for weight in causal.parameters())
        head = cast(nn.Module | None, causal.get_output_embeddings())
        outside = {
            id(weight): weight.numel()
            for module in causal.modules()
            if isinstance(module, nn.Embedding) or module is head
            for weight in module.parameters(recurse=False)
        }
        adapter = count_lora(causal, tuning) if tuning.method == "lora" else 0
        heads = config.num_attention_heads
        return cls(
            total=total + adapter,
            body=total - sum(outside.values()),
            tuned={"full": total, "lora": adapter, "none": 0}[tuning.method],
            adapter=adapter,
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            attention=heads * (getattr(config, "head_dim", None) or config.hidden_size // heads),
            feed_forward=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            vocabulary=config.vocab_size,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """Hold how much is read and answered.

    Parameters
    ----------
    tokens
        Of all epochs, padding included.
    slots
        Answer slots of all epochs.
    row_tokens
        T, of a typical row.
    batch_tokens
        Read together in one step.
    rows_per_slot
        Rows of the output layer asked at a slot: the number of answers, or V if answers have several tokens.
    """

    tokens: int
    slots: int
    row_tokens: int
    batch_tokens: int
    rows_per_slot: int = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Hold bytes by what they are for."""

    weights: int
    gradients: int
    moments: int
    copies: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.moments + self.copies + self.activations


def sketch(settings: PretrainedBackbone) -> PreTrainedModel:
    """Build a model from its configuration alone, without any memory for its weights.

    Raises
    ------
    ModelError
        If there is no such model, it cannot be reached, or it is no causal language model.
    RecollectError
        If the system does not let us read it.
    """
    with loading(settings.name), torch.device("meta"):
        config = cast(PreTrainedConfig, AutoConfig.from_pretrained(settings.name, revision=settings.revision))
        return cast(PreTrainedModel, AutoModelForCausalLM.from_config(config))


def tuning_flops(shape: ModelShape, work: Work, tuning: TuningSettings) -> int:
    """Count the floating-point operations of a tuning; of answering alone if nothing is tuned.

    Parameters
    ----------
    shape
        Of the model.
    work
        What is read and answered.
    tuning
        Method, and whether activations are computed again.

    Examples
    --------
    A model of 100 weights in one layer without attention to speak of, tuned whole on 10 tokens:

    >>> shape = ModelShape(
    ...     total=100, body=100, tuned=100, adapter=0, layers=1, width=1, attention=0, feed_forward=1, vocabulary=9
    ... )
    >>> tuning_flops(shape, Work(tokens=10, slots=0, row_tokens=5, batch_tokens=10), TuningSettings())
    6000
    """
    again = 2 if tuning.gradient_checkpointing and tuning.method != "none" else 0
    through = 2 if tuning.method == "none" else 4  # forward, and back to the inputs
    own = 2 if tuning.method == "full" else 0  # the weights' own gradients
    # answers of several tokens ask all rows of the output layer, which is then always computed again
    head = through + own + (2 if work.rows_per_slot == shape.vocabulary and tuning.method != "none" else 0)
    adapter = (6 + again) * shape.adapter
    body = (through + own + again) * shape.body
    attention = ({"none": 4}.get(tuning.method, 12) + 2 * again) * shape.layers * work.row_tokens * shape.attention
    return work.tokens * (body + adapter + attention) + work.slots * head * work.rows_per_slot * shape.width


def tuning_memory(shape: ModelShape, work: Work, tuning: TuningSettings, *, weight_bytes: int = _FLOAT) -> Memory:
    """Estimate the memory of a tuning.

    Parameters
    ----------
    shape
        Of the model.
    work
        What is read and answered.
    tuning
        Precision of activations, and whether they are computed again.
    weight_bytes
        Of one weight: 4 in float32, 2 in bfloat16.
    """
    number = 2 if tuning.precision == "bfloat16" else _FLOAT
    layer = 10 * shape.width + 4 * shape.feed_forward
    kept = shape.layers * layer
    if tuning.method == "none":
        kept = layer
    elif tuning.gradient_checkpointing:
        kept = shape.layers * shape.width + layer
    return Memory(
        weights=shape.total * weight_bytes,
        **{name: count * _FLOAT * shape.tuned for name, count in _OF_EACH_TUNED.items()},
        activations=work.batch_tokens * (kept + work.row_tokens) * number,
    )


def device_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that a device has, or None where the system does not tell.

    Parameters
    ----------
    device
        A GPU, or the CPU for the machine's own memory.
    """
    if device.type == "cuda":
        return cast(int, torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no such question on this system
        return None


def tuning_hours(flops: int, *, speed: float, utilisation: float = _UTILISATION) -> float:
    """Return the hours that a tuning takes.

    Parameters
    ----------
    flops
        Of the tuning.
    speed
        Floating-point operations per second of one large matrix product on the device.
    utilisation
        Share of that speed that the whole model reaches.

    Examples
    --------
    >>> tuning_hours(3_600_000, speed=2_000.0, utilisation=0.5)
    1.0
    """
    return flops / (speed * utilisation) / 3600


def measure_speed(
    device: torch.device,
    *,
    dtype: torch.dtype = torch.float32,
    size: int = 1024,
    seconds: float = 0.3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Measure the floating-point operations per second of a matrix product.

    Parameters
    ----------
    device
        Where.
    dtype
        Of the numbers.
    size
        Of both square matrices.
    seconds
        How long at least, after one product to warm up.
    clock
        Tells seconds.
    """
    matrix = torch.ones(size, size, device=device, dtype=dtype)
    _multiply(matrix)
    start, count = clock(), 0
    while (passed := clock() - start) < seconds or count == 0:
        _multiply(matrix)
        count += 1
    return count * 2 * size**3 / passed


def _multiply(matrix: torch.Tensor) -> None:
    """Multiply, and wait for the result."""
    (matrix @ matrix)[0, 0].item()
