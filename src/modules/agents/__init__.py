"""Networks of the agents' policies; importing this registers all of them."""

from bn_mappo.modules.agents import entity_actor, vector_actor
from bn_mappo.modules.agents.actor import REGISTRY

__all__ = ["REGISTRY", "entity_actor", "vector_actor"]
