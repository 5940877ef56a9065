"""Ways of serving: which forward pass answers, in which numbers, and how it is chosen.

| way | what computes | exact |
| --- | --- | --- |
| stock | the backbone's own forward pass with our attention | yes |
| compact | the compact decoder (`recollect.model.compact`) | yes |
| compiled | the same, its layers compiled for the lengths asked for | yes |
| graphed | the same, small batches replayed as CUDA graphs (`recollect.model.graphed`) | yes |
| compact-bfloat16, compiled-bfloat16 | the same in bfloat16 | no |
| native-bfloat16 | our own kernel on AMX tiles (`recollect.model.native.decoder`) | no |
| compact-int8 | the compact decoder with int8 weights | no |

What it decides: a way that changes scores is never chosen by itself; of the others, one short measurement on the
machine at hand chooses. Compilation happens when a way is chosen: branches are padded to the few lengths that were
compiled then, for any number of branches, and any other runs as written, so no request ever waits for a compiler.
Attention to the trunk stays outside the compiled halves of a layer, since the trunk's length changes with every event,
and the last layer runs as written, since little of it is left. The compiled code is kept on disk by torch.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recollect.errors import ModelError, UsageError
from recollect.model.adapters import merge_lora
from recollect.model.cache import TrunkCache
from recollect.model.compact import CompactDecoder
from recollect.model.compiled import MANY, CompiledHalves, compiled_tree_halves
from recollect.model.graphed import GraphedDecoder
from recollect.model.language_model import Decoder, LanguageModel
from recollect.model.native.decoder import NativeDecoder, lacks_for_native
from recollect.model.native.library import compiler
from recollect.model.quantised import CACHE_KINDS, int8_is_possible
from recollect.model.tree_attention import drops_attention
from recollect.prompt.branches import Branches
from recollect.prompt.tree import PromptTree, Segment, join_segments

__all__ = [
    "AUTOMATIC",
    "PREPARED",
    "WAYS",
    "available_ways",
    "bytes_per_token",
    "compile_for_tuning",
    "fastest_way",
    "measure_ways",
    "use_way",
]

WAYS: Final = (
    *("stock", "compact", "compiled", "graphed"),
    *("compact-bfloat16", "compiled-bfloat16", "native-bfloat16", "compact-int8"),
)
"""Names of all ways."""

AUTOMATIC: Final = ("stock", "compact")
"""Ways that may be chosen without being asked for: exact, and ready at once."""

PREPARED: Final = ("compiled", "graphed")
"""Beginnings of the names of ways that are prepared for some lengths of branches, which takes seconds."""

_LENGTHS: Final = (24,)


def use_way(model: LanguageModel, name: str, *, cache: str = "as computed", lengths: Sequence[int] = _LENGTHS) -> None:
    """Let a model answer in another way, from its next trunk on; tuning is not touched.

    A low-rank adapter is merged into its backbone first, unless the way is stock.

    Parameters
    ----------
    model
        It is changed.
    name
        One of `WAYS`.
    cache
        How new trunks keep keys and values: as computed, bfloat16 or int8.
    lengths
        Tokens of the branches for which a way is compiled or recorded, now; others run as written.

    Raises
    ------
    UsageError
        If there is no such way or kind of cache.
    ModelError
        If this backbone or machine does not allow it.
    """
    if name not in WAYS or cache not in CACHE_KINDS:
        raise UsageError(
            "an unknown way of serving" if name not in WAYS else "an unknown kind of cache",
            got=name if name not in WAYS else cache,
            expected=", ".join(WAYS if name not in WAYS else CACHE_KINDS),
            do="choose one of them",
        )
    if name != "stock":
        merge_lora(model.causal)
    decoder = _decoder(model, name, lengths)
    model.decoder, model.cache_kind = decoder, cache
    if isinstance(decoder, CompactDecoder) and isinstance(decoder.functions, CompiledHalves):
        trunk = model.append(TrunkCache.empty(), _random_trunk(np.zeros(2, np.int32)))
        decoder.functions.prepare(lengths, ask=lambda length: _ask_zeros(model, trunk, length))


def compile_for_tuning(model: LanguageModel) -> None:
    """Let a model tune through compiled layers, in full or by low rank: the same mathematics, less of the last layer.

    Parameters
    ----------
    model
        It is changed; its weights stay the backbone's own.

    Raises
    ------
    ModelError
        If this backbone, its adapter or this machine does not allow it.
    """
    decoder = CompactDecoder.of(model.causal, adapted=True) if model.pluggable else None
    lacking = None if decoder is None else _lacking("compiled", model, decoder)
    if decoder is None or lacking is not None or drops_attention(model.causal.config):
        raise ModelError(
            what="this model cannot be tuned through compiled layers",
            got=lacking or f"{type(model.causal).__name__}, with dropout or not of the Llama shape",
            expected="Llama, Qwen or Mistral without dropout of attention or of the adapter, and a C++ compiler",
            do="set tuning.compile to false, or tuning.lora_dropout to 0",
        )
    model.tuning_decoder = replace(decoder, tree_halves=compiled_tree_halves())


def available_ways(model: LanguageModel) -> tuple[str, ...]:
    """Return the ways that a model can be served in on this machine.

    Parameters
    ----------
    model
        One with an adapter that is not merged has only the stock way.
    """
    decoder = CompactDecoder.of(model.causal) if model.pluggable else None
    if decoder is None:
        return ("stock",)
    return tuple(name for name in WAYS if _lacking(name, model, decoder) is None)


def measure_ways(
    model: LanguageModel,
    *,
    names: Sequence[str] = AUTOMATIC,
    trunk: int = 256,
    candidates: int = 32,
    length: int = 24,
    rounds: int = 3,
) -> dict[str, float]:
    """Measure how long a warm query takes in some ways, one after the other and again.

    Parameters
    ----------
    model
        Its way of serving is the same afterwards.
    names
        Ways to measure; those that it does not have are left out.
    trunk
        Tokens of the trunk, as far as the backbone can look.
    candidates, length
        Branches, and tokens of each.
    rounds
        Measurements of each way, after one that does not count.

    Returns
    -------
    dict
        Median seconds of a query by way.

    Raises
    ------
    UsageError
        If there is no such way.
    """
    before = model.decoder, model.cache_kind
    later = max(map(len, model.answer_tokens.later))
    kept = min(trunk, model.span_limit - length - later)
    random = np.random.default_rng(0)
    vocabulary = model.causal.config.get_text_config().vocab_size
    shown = _random_trunk(random.integers(0, vocabulary, kept, dtype=np.int32))
    branches = Branches.of(random.integers(0, vocabulary, (candidates, length), dtype=np.int32), start=kept)
    there = available_ways(model)
    try:
        queries = {name: _query(model, name, shown, branches) for name in names if name in there}
        taken = {name: list[float]() for name in queries}
        for _ in range(rounds + 1):
            for name, query in queries.items():
                taken[name].append(query())
    finally:
        model.decoder, model.cache_kind = before
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def fastest_way(model: LanguageModel) -> str:
    """Return the fastest way among those that change no score and need no compiler.

    Parameters
    ----------
    model
        Its way of serving is the same afterwards.
    """
    taken = measure_ways(model)
    return min(taken, key=taken.__getitem__)


def bytes_per_token(model: LanguageModel) -> dict[str, float]:
    """Return how many bytes a token of a trunk takes for each kind of cache.

    Parameters
    ----------
    model
        Its way of serving is the same afterwards.
    """
    before = model.cache_kind
    tokens = min(16, model.span_limit)
    sizes: dict[str, float] = {}
    try:
        for kind in CACHE_KINDS:
            model.cache_kind = kind
            trunk = _random_trunk(np.zeros(tokens, np.int32))
            sizes[kind] = model.append(TrunkCache.empty(), trunk).nbytes / tokens
    finally:
        model.cache_kind = before
    return sizes


def _decoder(model: LanguageModel, name: str, lengths: Sequence[int]) -> Decoder | None:
    """Make the decoder of a way; None is the backbone itself.

    Raises
    ------
    ModelError
        If this backbone or machine does not allow it.
    """
    if name == "stock":
        return None
    decoder = CompactDecoder.of(model.causal) if model.pluggable else None
    lacking = f"{type(model.causal).__name__}, which is not of the Llama shape"
    if decoder is not None:
        lacking = _lacking(name, model, decoder)
    if decoder is None or lacking is not None:
        raise ModelError(
            what=f"this model cannot be served in the way {name!r}",
            got=lacking,
            expected=f"one of {', '.join(available_ways(model))}",
            do="choose one of these, or none",
        )
    if name == "graphed":
        return GraphedDecoder.of(decoder, lengths=lengths, reach=model.span_limit)
    return _made(name, decoder)


def _made(name: str, decoder: CompactDecoder) -> Decoder:
    """Make the decoder of a way from the one that references the backbone's weights.

    Raises
    ------
    ModelError
        If the native kernel cannot be built.
    """
    if name.startswith("native"):
        return NativeDecoder.of(decoder)
    if name.endswith("int8"):
        return decoder.quantised()
    made = decoder.converted(torch.bfloat16) if name.endswith("bfloat16") else decoder
    return replace(made, functions=CompiledHalves()) if name.startswith("compiled") else made


def _lacking(name: str, model: LanguageModel, decoder: CompactDecoder) -> str | None:
    """Name what a way needs and this machine or model lacks."""
    on_cpu = model.device.type == "cpu"
    if name.startswith("compiled") and on_cpu and not shutil.which(compiler()):
        return "no C++ compiler"
    if name == "graphed":
        return None if model.device.type == "cuda" else "no CUDA device"
    if name.startswith("native"):
        return lacks_for_native(decoder) if on_cpu else "a kernel for processors, and the model is elsewhere"
    if name.endswith("int8") and not (on_cpu and int8_is_possible()):
        return "no product of bytes on this device"
    return None


def _ask_zeros(model: LanguageModel, trunk: TrunkCache, length: int) -> Tensor:
    return model.score(trunk, Branches.of(np.zeros((MANY, length), np.int32), start=trunk.length), chunk=MANY)


def _query(model: LanguageModel, name: str, shown: PromptTree, branches: Branches) -> Callable[[], float]:
    """Prepare a warm query in one way; each call asks it and returns the seconds."""
    use_way(model, name, lengths=(branches.tokens.shape[1],))
    decoder, cache = model.decoder, model.append(TrunkCache.empty(), shown)

    def ask() -> float:
        model.decoder = decoder
        begun = time.perf_counter()
        _finished(model.score(cache, branches))
        return time.perf_counter() - begun

    return ask


def _finished(scores: Float[Tensor, "C A"]) -> None:
    """Wait for an accelerator."""
    if scores.device.type == "cuda":
        torch.cuda.synchronize(scores.device)


def _random_trunk(tokens: np.ndarray) -> PromptTree:
    return join_segments([Segment(tokens, start=0)])
