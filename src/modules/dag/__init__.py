"""DAGs of agents: generators, networks, orders, and what can be said of them."""

from bn_mappo.modules.dag import distance, gcs  # noqa: F401  register their generators
