"""Multi-agent controllers: how agents come to their actions."""

from controllers.basic_controller import BasicMAC
from controllers.dag_controller import DAGMAC
from utils.registry import Registry

REGISTRY: Registry = Registry("mac")
REGISTRY.register("basic_mac", "agents act independently")(BasicMAC)
REGISTRY.register("dag_controller", "agents act along a DAG, parents first")(DAGMAC)
