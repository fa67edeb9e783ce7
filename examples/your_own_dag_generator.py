"""A DAG generator of your own, from this file or the command line:

python examples/your_own_dag_generator.py
bn-mappo --import examples/your_own_dag_generator.py --config=bn_mappo --env-config=aloha with dag.generator=nearest
"""

import sys

import torch

import bn_mappo
from bn_mappo.core.options import Count, options
from bn_mappo.modules.dag.generators import DAG, DAGGenerator


@options
class NearestOptions:
    """Its own keys of the section `dag`; keys from outside need defaults."""

    reach: Count = 2


@bn_mappo.register("dag.generator", "nearest", "each agent sees the dag.reach agents before it")
class NearestDAG(DAGGenerator):
    """Edges j -> i with 0 < i - j <= reach, whatever the context."""

    Options = NearestOptions

    def __init__(self, options, n_agents, context_shape, hidden_dim):
        super().__init__()
        index = torch.arange(n_agents)
        gap = index - index.unsqueeze(-1)  # [N, N] child minus parent
        self.register_buffer("adjacency", ((gap > 0) & (gap <= options.reach)).float())  # [N, N]

    def forward(self, context, noise, temperature=1.0, recorded_order=None):
        n_samples, n_agents = len(context), len(self.adjacency)
        order = torch.arange(n_agents, device=context.device).expand(n_samples, -1)
        return DAG(self.adjacency.expand(n_samples, -1, -1), order)


def main(*settings: str) -> None:
    config = bn_mappo.load_config("bn_mappo", "aloha", "dag.generator=nearest", "dag.reach=1", "t_max=50000", *settings)
    run = bn_mappo.train(config)
    print("edges of the first game:", bn_mappo.sample_dag(run).adjacency[0].nonzero())
    print(f"test return {run.rows[-1]['test_return_mean']:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
