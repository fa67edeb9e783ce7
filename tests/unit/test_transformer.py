"""Attention against a slow loop; what may depend on what in encoder and decoder; one agent at a time as all at once."""

import math

import pytest
import torch
from torch.nn import functional

from bn_mappo.core.errors import ConfigError
from bn_mappo.modules.transformer.attention import Attention, TransformerSizes
from bn_mappo.modules.transformer.decoder import Decoder
from bn_mappo.modules.transformer.encoder import Encoder
from bn_mappo.modules.transformer.inputs import OwnInput

SIZES = TransformerSizes(n_agents=5, n_actions=4, obs_dim=7, names_agents=False, hidden_dim=12, n_blocks=2, n_heads=3)
NAMED = SIZES._replace(names_agents=True)
M, N, H = 3, SIZES.n_agents, SIZES.hidden_dim


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(module: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with every weight and bias away from its start: attention begins near none."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator(1), dtype=torch.float64), alpha=0.5)
    return module


def draw(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_against_a_slow_loop(is_causal):
    attention, tokens, source = moved(Attention(SIZES, generator())), draw(M, N, H), draw(M, N, H, seed=3)
    with torch.no_grad():
        result = attention(tokens, attention.keys_values(source), is_causal)
        query, (key, value) = attention.query(tokens), attention.keys_values(source).split(H, -1)
    width = H // SIZES.n_heads
    mixed = torch.zeros(M, N, H, dtype=torch.float64)
    for m in range(M):
        for head in range(SIZES.n_heads):
            part = slice(head * width, (head + 1) * width)
            for i in range(N):
                seen = range(i + 1) if is_causal else range(N)
                scores = [math.exp(query[m, i, part].dot(key[m, j, part]).item() / math.sqrt(width)) for j in seen]
                for j, score in zip(seen, scores, strict=True):
                    mixed[m, i, part] += score / sum(scores) * value[m, j, part]
    with torch.no_grad():
        expected = attention.out(mixed)
    torch.testing.assert_close(result, expected, rtol=1e-11, atol=1e-11)


def test_heads_must_share_the_width_equally():
    with pytest.raises(ConfigError, match="n_heads=5 must divide hidden_dim=12"):
        Attention(SIZES._replace(n_heads=5), generator())


def test_renumbering_the_agents_renumbers_representations_and_values():
    encoder, inputs, order = moved(Encoder(SIZES, generator())), draw(M, N, 7), torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        representation, renumbered = encoder(inputs), encoder(inputs[:, order])
        torch.testing.assert_close(renumbered, representation[:, order])
        torch.testing.assert_close(encoder.values(renumbered), encoder.values(representation)[:, order])
    assert (representation - renumbered).abs().max() > 0.1


def test_an_agents_number_is_as_if_appended_to_its_observation():
    """One-hot, against the concatenation; and then renumbering the agents is no longer without effect."""
    named, obs = moved(OwnInput(NAMED, generator())), draw(M, N, 7)
    numbers = torch.eye(N, dtype=torch.float64).expand(M, -1, -1)
    with torch.no_grad():
        expected = named.norm(functional.gelu(named.fc(torch.cat([obs, numbers], dim=-1))))
        torch.testing.assert_close(named(obs), expected)
        order = torch.tensor([3, 0, 4, 1, 2])
        assert (named(obs[:, order]) - named(obs)[:, order]).abs().max() > 0.1


def test_each_value_depends_on_the_observations_of_all_agents_and_of_its_own_step_alone():
    encoder, inputs = moved(Encoder(SIZES, generator())), draw(M, N, 7).requires_grad_()
    for i in range(N):
        (grad,) = torch.autograd.grad(encoder.values(encoder(inputs))[1, i], inputs)
        assert (grad[1].abs().amax(-1) > 1e-6).all()
        assert (grad[[0, 2]] == 0).all()


@pytest.mark.parametrize("sizes", [NAMED, SIZES])
def test_logits_depend_on_no_later_token_and_on_no_later_representation(sizes):
    decoder = moved(Decoder(sizes, generator()))
    tokens, representation = draw(M, N, H).requires_grad_(), draw(M, N, H, seed=3).requires_grad_()
    logits, _ = decoder(tokens, representation)
    for k in range(N):
        of_tokens, of_representation = torch.autograd.grad(
            logits[:, k].square().sum(), (tokens, representation), retain_graph=True
        )
        assert (of_tokens[:, k + 1 :] == 0).all() and (of_representation[:, k + 1 :] == 0).all()
        assert (of_tokens[:, : k + 1].abs().amax(-1) > 1e-9).all(), "every earlier choice is heard"
        assert (of_representation[:, k].abs() > 0).any()


@pytest.mark.parametrize("sizes", [NAMED, SIZES])
def test_one_agent_at_a_time_gives_what_all_at_once_give(sizes):
    """With kept keys and values; and the past never holds more than the tokens so far."""
    decoder, representation = moved(Decoder(sizes, generator())), draw(M, N, H)
    actions = torch.randint(SIZES.n_actions, (M, N - 1), generator=generator(4))
    agents = torch.arange(N - 1).expand(M, -1)
    with torch.no_grad():
        tokens = torch.cat([decoder.first_token(M), decoder.tokens(actions, agents)], dim=1)
        whole, _ = decoder(tokens, representation)
        past = None
        for k in range(N):
            logits, past = decoder(tokens[:, k : k + 1], representation[:, k : k + 1], past)
            torch.testing.assert_close(logits[:, 0], whole[:, k], rtol=1e-12, atol=1e-12)
            assert all(part.shape == (M, k + 1, 2 * H) for block in past for part in block)


def test_the_token_of_an_action_says_whose_it_was_only_where_agents_are_named():
    action = torch.tensor([[2]])
    for sizes in (NAMED, SIZES):
        decoder = Decoder(sizes, generator())
        left, right = (decoder.tokens(action, torch.tensor([[agent]])) for agent in (0, 1))
        assert torch.equal(left, right) == (not sizes.names_agents)
        assert not torch.equal(left, decoder.tokens(action + 1, torch.tensor([[0]])))
        assert not torch.equal(left, decoder.first_token(1))
