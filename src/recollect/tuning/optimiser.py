"""What both loops, tuning and pretraining, and their benchmark do around a step of the optimiser.

It decides: AdamW, fused, with decay on matrices only; gradients are passed over once more only where they are too long;
and memory that a step frees is kept for the next one, since new pages cost up to a tenth of a step on a processor.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from typing import Final

import torch

__all__ = ["clip_gradients", "keep_freed_memory", "make_optimizer"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of `mallopt`, malloc.h
_LARGEST: Final = 32 << 20  # bytes; glibc maps what is larger by itself, and unmaps it when it is freed


def make_optimizer(
    weights: Iterable[torch.nn.Parameter], *, rate: float, betas: tuple[float, float], decay: float
) -> torch.optim.AdamW:
    """Make AdamW with weight decay on matrices only.

    Parameters
    ----------
    weights
        What is tuned.
    rate, betas, decay
        As `torch.optim.AdamW` takes them.
    """
    all_weights = list(weights)
    groups = [
        {"params": [weight for weight in all_weights if weight.ndim >= 2], "weight_decay": decay},
        {"params": [weight for weight in all_weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True)


def clip_gradients(weights: Iterable[torch.nn.Parameter], limit: float) -> None:
    """Shorten gradients to a total norm, as `torch.nn.utils.clip_grad_norm_`; those that are short enough stay.

    Parameters
    ----------
    weights
        Those without a gradient are left out.
    limit
        Norm over all gradients together.
    """
    found = [weight for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in found if weight.grad is not None])
    if not norm <= limit:  # nor where it is no number
        torch.nn.utils.clip_grads_with_norm_(found, limit, norm)


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, for the life of the process; where it is not glibc, nothing happens."""
    adjust = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if adjust is not None:
        adjust(_TRIM_THRESHOLD, -1)
        adjust(_MMAP_THRESHOLD, _LARGEST)
