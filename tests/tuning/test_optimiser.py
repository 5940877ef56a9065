"""What both loops do around a step of the optimiser."""

import resource
import sys

import pytest
import torch

from recollect.tuning.optimiser import clip_gradients, keep_freed_memory, make_optimizer


def weights_with_gradients(size: float) -> list[torch.nn.Parameter]:
    """Make two weights whose gradients have one norm together, and one without."""
    found = [torch.nn.Parameter(torch.ones(shape)) for shape in ((3, 2), (4,), (1,))]
    raw = [torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.ndim)) for weight in found[:2]]
    for weight, gradient in zip(found, raw, strict=False):
        weight.grad = gradient * (size / torch.nn.utils.get_total_norm(raw))
    return found


def test_only_matrices_decay():
    """Without a gradient a step is decay alone."""
    matrix, vector = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2,)))
    optimizer = make_optimizer([matrix, vector], rate=0.1, betas=(0.9, 0.98), decay=0.5)
    matrix.grad, vector.grad = torch.zeros(2, 2), torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 2), 1 - 0.1 * 0.5))
    assert torch.equal(vector, torch.ones(2))


@pytest.mark.parametrize("size", [0.5, 3.0, float("nan")])
def test_gradients_are_clipped_as_torch_does(size):
    ours, torchs = weights_with_gradients(size), weights_with_gradients(size)
    clip_gradients(ours, 1.0)
    torch.nn.utils.clip_grad_norm_(torchs, 1.0)
    for one, other in zip(ours, torchs, strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0, equal_nan=True)


@pytest.mark.skipif(sys.platform != "linux", reason="what is kept is glibc's business")
def test_what_a_step_frees_is_there_for_the_next():
    keep_freed_memory()

    def use() -> None:
        kept = [torch.ones(20 << 18) for _ in range(4)]  # 20 MiB each
        del kept

    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        use()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 80 << 8  # the pages of one round
