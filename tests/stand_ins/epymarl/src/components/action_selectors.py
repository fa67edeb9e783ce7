"""From the mac's probabilities [B, N, A] to actions [B, N]."""

from torch.distributions import Categorical


class SoftPoliciesSelector:
    """Samples, in tests as well, whatever `test_greedy` says: so does upstream's mappo."""

    def __init__(self, args):
        self.args = args

    def select_action(self, agent_inputs, avail_actions, t_env, test_mode=False):
        return Categorical(agent_inputs).sample().long()


class MultinomialActionSelector:
    """Samples; the likeliest action in greedy tests. Has an `epsilon`, which the runners log."""

    def __init__(self, args):
        self.epsilon, self.test_greedy = args.epsilon_start, getattr(args, "test_greedy", True)

    def select_action(self, agent_inputs, avail_actions, t_env, test_mode=False):
        masked = agent_inputs * (avail_actions != 0)
        return masked.argmax(-1) if test_mode and self.test_greedy else Categorical(masked).sample()


REGISTRY = {"soft_policies": SoftPoliciesSelector, "multinomial": MultinomialActionSelector}
