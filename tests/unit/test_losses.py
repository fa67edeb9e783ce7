"""Every written-out gradient against automatic differentiation of the plain formula."""

import torch
from torch.nn import functional

from bn_mappo.learners.losses import clipped_surrogate, clipped_value_loss, masked_mean
from bn_mappo.modules.action_selectors import log_prob_and_entropy

rng = torch.Generator().manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=rng)


def test_log_prob_and_entropy():
    logits = randn(5, 7, 3).requires_grad_()
    actions = torch.randint(0, 5, (7, 3), generator=rng)
    of_log_prob, of_entropy = randn(7, 3), randn(7, 3)
    log_prob, entropy = log_prob_and_entropy(logits, actions)
    (log_prob * of_log_prob + entropy * of_entropy).sum().backward()
    gradient, logits.grad = logits.grad, None
    plain = torch.distributions.Categorical(logits=logits.movedim(0, -1))
    torch.testing.assert_close(log_prob, plain.log_prob(actions))
    torch.testing.assert_close(entropy, plain.entropy())
    (plain.log_prob(actions) * of_log_prob + plain.entropy() * of_entropy).sum().backward()
    torch.testing.assert_close(gradient, logits.grad)


def test_unavailable_actions_have_no_entropy_and_no_gradient():
    logits = torch.randn(3, 4, generator=rng)
    logits[2] = torch.finfo(torch.float32).min
    logits.requires_grad_()
    log_prob, entropy = log_prob_and_entropy(logits, torch.zeros(4, dtype=torch.long))
    (log_prob + entropy).sum().backward()
    assert entropy.isfinite().all()
    assert (logits.grad[2] == 0).all()
    torch.testing.assert_close(entropy, torch.distributions.Categorical(logits=logits[:2].T).entropy())


def test_clipped_surrogate():
    log_prob, old = (0.3 * randn(4, 5, 3)).requires_grad_(), 0.3 * randn(4, 5, 3)
    advantage, weight = randn(4, 5, 1), (torch.rand(4, 5, 3, generator=rng) < 0.7).double()
    total, ratio = clipped_surrogate(log_prob, old, advantage, weight, 0.2)
    total.backward()
    gradient, log_prob.grad = log_prob.grad, None
    expected_ratio = (log_prob - old).exp()
    terms = torch.min(expected_ratio * advantage, expected_ratio.clamp(0.8, 1.2) * advantage)
    (terms * weight).sum().backward()
    torch.testing.assert_close(total, (terms * weight).sum())
    torch.testing.assert_close(ratio, expected_ratio.detach())
    torch.testing.assert_close(gradient, log_prob.grad)
    assert ((gradient == 0) & (weight > 0)).any(), "the clipped branch was never taken"


def test_clipped_value_loss():
    for value_clip in (0.0, 0.2):
        value, old, target = (2 * randn(6, 5, 1)).requires_grad_(), randn(6, 5, 1), 2 * randn(6, 5, 1)
        weight = (torch.rand(6, 5, 1, generator=rng) < 0.7).double()
        loss = clipped_value_loss(value, old, target, weight, value_clip, delta=1.0)
        loss.backward()
        gradient, value.grad = value.grad, None
        plain = functional.huber_loss(value, target, reduction="none", delta=1.0)
        if value_clip:
            clipped = old + (value - old).clamp(-value_clip, value_clip)
            plain = torch.max(plain, functional.huber_loss(clipped, target, reduction="none", delta=1.0))
        (plain * weight).sum().backward()
        torch.testing.assert_close(loss, (plain * weight).sum())
        torch.testing.assert_close(gradient, value.grad)


def test_masked_mean_ignores_what_does_not_count():
    values = torch.tensor([[1.0, 100.0], [3.0, 100.0]])
    assert masked_mean(values, torch.tensor([1.0, 0.0])).item() == 2.0
    assert masked_mean(values, torch.zeros(2)).item() == 0.0
