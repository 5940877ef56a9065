"""The objective, by hand."""

import math

import pytest
import torch

from recollect.tuning.objective import answer_loss, within_loss


def test_a_batch_of_one_class_has_a_gradient():
    score = torch.tensor([0.3, -0.2], requires_grad=True)
    answer_loss(score, torch.tensor([True, True])).backward()
    assert score.grad is not None
    assert (score.grad < 0).all()


def test_pairs_of_one_window_only():
    score = torch.tensor([2.0, 0.0, 1.0])
    label = torch.tensor([True, False, False])
    together = within_loss(score, label, torch.tensor([0, 0, 0]))
    first = math.log(1 + math.exp(-2.0))  # like at 2 against dislike at 0
    second = math.log(1 + math.exp(-1.0))  # like at 2 against dislike at 1
    assert together.item() == pytest.approx((first + second) / 2)
    assert within_loss(score, label, torch.tensor([0, 0, 1])).item() == pytest.approx(first)


def test_windows_with_both_labels_count_the_same():
    score = torch.tensor([1.0, 0.0, 3.0, 0.0, 0.0])
    label = torch.tensor([True, False, True, False, False])
    window = torch.tensor([0, 0, 1, 1, 1])
    mean = (math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-3.0))) / 2
    assert within_loss(score, label, window).item() == pytest.approx(mean)


def test_no_pair_no_loss():
    assert within_loss(torch.ones(2), torch.tensor([True, True]), torch.tensor([0, 0])).item() == 0
