"""DAGs of agents: generators, networks, orders, and what can be said of them."""

from bn_mappo.modules.dag import distance  # noqa: F401  registers dag.generator=distance
