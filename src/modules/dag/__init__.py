"""DAGs of agents: generators, networks, orders, and what can be said of them."""
