"""Multi-agent controllers: how agents come to their actions."""

from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.controllers.graph_controller import GraphMAC
from bn_mappo.controllers.guided_controller import GuidedMAC
from bn_mappo.controllers.mat_controller import MATMAC, MATDecMAC
from bn_mappo.controllers.value_controller import QMAC
from bn_mappo.core.registry import Registry

REGISTRY: Registry = Registry("mac")
REGISTRY.register("basic_mac", "agents act independently")(BasicMAC)
REGISTRY.register("dag_controller", "agents act along a DAG, parents first")(DAGMAC)
REGISTRY.register("guided_controller", "a team along a DAG guides an independent one, which is deployed")(GuidedMAC)
REGISTRY.register("q_controller", "agents act on the values of their actions, and explore by epsilon")(QMAC)
REGISTRY.register("graph_controller", "agents choose together, by the values of pairs of actions")(GraphMAC)
REGISTRY.register("mat_controller", "a transformer: agents act in turn, each knowing the actions so far")(MATMAC)
REGISTRY.register("mat_dec_controller", "agents act independently, and a transformer gives the values")(MATDecMAC)
