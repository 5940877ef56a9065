"""The dual-model identity: by heads, by explicit weights, and in whole models that are far from zero-shot."""

from itertools import combinations_with_replacement
from math import factorial

import numpy as np
import pytest
import torch
from backbones import build
from peaked import FAMILIES, build_peaked

from recollect.errors import ModelError
from recollect.model.dual import dual_step, verify
from recollect.model.language_model import LanguageModel

ANSWERS = (7, 11)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_step_of_the_dual_model_is_softmax_attention(dtype, close):
    torch.manual_seed(0)
    width, cuts = 16, (6, 9, 10, 17)  # no demonstrations, then three of them
    query, keys, values = (torch.randn(1, 2, rows, width, dtype=dtype) for rows in (5, cuts[-1], cuts[-1]))
    scores = 6 * query @ keys.mT * width**-0.5
    parts = [
        (one.softmax(-1) @ values[:, :, place], one.logsumexp(-1))
        for place in (slice(0, cuts[0]), *map(slice, cuts, cuts[1:]))
        for one in (scores[..., place],)
    ]
    output, moved = dual_step(parts[0], parts[1:])
    assert (output - scores.softmax(-1) @ values).abs().max() <= close
    assert (moved - scores.softmax(-1)[..., cuts[0] :].sum(-1)).abs().max() <= close
    assert 0.3 < moved.mean() < 0.95


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
@pytest.mark.parametrize("family", FAMILIES)
def test_whole_models_on_dual_steps_answer_as_themselves(family, dtype, close):
    model = LanguageModel(build_peaked(family, dtype=dtype), answers=ANSWERS).eval()
    found = verify(model, tokens=64, demonstrations=3, seed=1)
    assert len(found.layer_residuals) == 5
    assert max(found.layer_residuals) <= (1e-12 if dtype == torch.float64 else close)
    assert found.logits_residual <= close
    assert found.icl_gap > 0.1
    assert 0.3 < found.moved < 0.95


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "phi"])
def test_other_families_are_dual_models_too(family):
    found = verify(LanguageModel(build(family), answers=((7,), (11, 3))).eval())
    assert max(*found.layer_residuals, found.logits_residual) <= 1e-5
    assert found.icl_gap > 0.1


def test_explicit_weights_learn_what_attention_computes():
    """With Taylor features of the kernel, one step of autograd's gradient is softmax attention (spec 2.3, 8.3)."""
    torch.manual_seed(0)
    width, degree, rate = 4, 12, 0.7
    query, keys, values = (torch.randn(rows, width, dtype=torch.float64) for rows in (1, 12, 12))
    features = taylor_features(torch.cat([query, keys]) / width**0.25, degree)
    assert features.shape[1] == 1820
    asked, trunk, shown = features[0], features[1:6], features[6:]
    whole = float(asked @ torch.cat([trunk, shown]).sum(0))
    decay = float(asked @ shown.sum(0)) / whole / rate  # rate x decay is the share of the demonstrations
    zero_shot = values[:5].T @ trunk / (asked @ trunk.sum(0))
    weights = zero_shot.clone().requires_grad_()
    loss = -(values[5:] * (shown @ weights.T)).sum() / (rate * whole)
    (gradient,) = torch.autograd.grad(loss, weights)
    stepped = (1 - rate * decay) * zero_shot - rate * gradient
    expected = (query @ keys.T * width**-0.5).softmax(-1) @ values
    assert (stepped @ asked - expected[0]).abs().max() <= 1e-5
    assert (zero_shot @ asked - expected[0]).abs().max() > 0.1


def taylor_features(points: torch.Tensor, degree: int) -> torch.Tensor:
    """Write out the monomials whose products make exp(x . y) up to a degree."""
    made = [torch.ones(len(points), dtype=points.dtype)]
    for order in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(points.shape[1]), order):
            counts = np.bincount(chosen, minlength=points.shape[1])
            scale = float(np.prod([float(factorial(count)) for count in counts.tolist()]))
            made.append(points[:, list(chosen)].prod(1) / scale**0.5)
    return torch.stack(made, 1)


def test_too_short_and_unpluggable_are_refused():
    with pytest.raises(ModelError, match="too short"):
        verify(LanguageModel(build("llama"), answers=ANSWERS), tokens=8, demonstrations=5)
    with pytest.raises(ModelError, match="takes no gates"):
        verify(LanguageModel(build("gptj"), answers=ANSWERS))
