"""Several processes that tune one model: each takes its share of every step's batches, and all take the same step.

It decides that the recipe says what is learned and the launcher only how fast: `tuning.accumulate` counts the batches
of a step over all processes, so W processes take the very steps of one, and a tuning that was stopped may go on with
another number of them. Gradients are added up and divided by the answers that they come from; the main process judges,
keeps checkpoints, shows progress and writes the run. Processes are those of `accelerate launch` or `torchrun`, told by
environment variables; without these there is one process, and nothing here costs anything.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar, cast

import torch
import torch.distributed as distributed
from jaxtyping import Float64
from torch import Tensor, nn

from recollect.errors import SystemFailure, UsageError

__all__ = ["ALONE", "Team", "join_team", "rank"]

_PATIENCE: Final = timedelta(days=1)  # others wait while the main process judges; a launcher notices one that died
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Team:
    """Be one of the processes that tune a model together.

    Parameters
    ----------
    rank
        Number of this process; the main one is 0.
    size
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process judges and writes."""
        return self.rank == 0

    def share(self, batches: Sequence[int]) -> Sequence[int]:
        """Return this process's part of the batches of a step."""
        return batches[self.rank :: self.size]

    def add_up(self, weights: Sequence[nn.Parameter], numbers: Float64[Tensor, " N"]) -> Float64[Tensor, " N"]:
        """Add up the gradients of all processes, in place; return the sums of some numbers.

        A weight has a gradient afterwards if it had one anywhere, so that the optimiser skips the same ones everywhere.
        """
        if self.size == 1:
            return numbers
        has = torch.tensor([weight.grad is not None for weight in weights], dtype=numbers.dtype)
        sums = torch.cat([numbers, has]).to(weights[0].device)
        distributed.all_reduce(sums)
        told, known = sums[: len(numbers)].cpu(), cast(list[float], sums[len(numbers) :].tolist())
        pending: list[distributed.Work | None] = []
        for weight, processes in zip(weights, known, strict=True):
            if processes:
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                pending.append(cast("distributed.Work | None", distributed.all_reduce(weight.grad, async_op=True)))
        for work in pending:
            if work is not None:
                work.wait()
        return told

    def from_main(self, make: Callable[[], Value]) -> Value:
        """Let the main process make a value, and give it to all."""
        if self.size == 1:
            return make()
        told: list[Value | None] = [make() if self.is_main else None]
        distributed.broadcast_object_list(told)
        return cast(Value, told[0])

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.from_main(lambda: None)

    def require_share(self, accumulate: int) -> None:
        """Check that every process gets as many batches of a step as the others.

        Raises
        ------
        UsageError
            If not.
        """
        if accumulate % self.size:
            more = -(-accumulate // self.size) * self.size
            raise UsageError(
                f"a step's batches cannot be shared evenly among {self.size} processes",
                got=f"tuning.accumulate = {accumulate}",
                expected=f"a multiple of {self.size}: it counts the batches of a step over all processes",
                do=f"give --set tuning.accumulate={more}; a smaller tuning.batch_tokens keeps steps of the same size",
            )


ALONE: Final = Team()
"""One process."""


def rank() -> int:
    """Return the number of this process among those of its launcher, before or without joining them."""
    return int(os.environ.get("RANK", "0"))


def join_team() -> Team:
    """Meet the other processes of the launcher; call this before any model is made, as it chooses each one's GPU.

    Raises
    ------
    SystemFailure
        If this machine's torch cannot let processes talk, or they do not find each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    try:
        _meet()
    except (ImportError, OSError, RuntimeError, ValueError) as error:  # what torch and accelerate raise
        raise SystemFailure(
            "the processes of this tuning cannot work together",
            got=error,
            expected="a backend for them (gloo on CPUs, nccl on GPUs) and an address where they meet",
            do="start them with `torchrun` or `accelerate launch`, or run one process without either",
        ) from error
    return Team(distributed.get_rank(), distributed.get_world_size())


def _meet() -> None:
    """Start to talk, once.

    Raises
    ------
    RuntimeError
        If this torch cannot, or the environment does not say with whom.
    """
    if not distributed.is_available():
        raise RuntimeError("a torch without torch.distributed")
    if distributed.is_initialized():
        return
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
    if not distributed.is_initialized():
        raise RuntimeError("the launcher's environment is incomplete (RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR)")
    atexit.register(distributed.destroy_process_group)
