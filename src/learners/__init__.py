"""Learners: how a controller improves from recorded segments."""

from bn_mappo.core.registry import Registry
from bn_mappo.learners.bn_mappo import BNMAPPOLearner
from bn_mappo.learners.ppo_learner import PPOLearner

REGISTRY: Registry = Registry("learner")
REGISTRY.register("ppo_learner", "PPO: MAPPO with cv_critic, IPPO with ac_critic")(PPOLearner)
REGISTRY.register("bn_mappo", "PPO plus the annealed density regulariser of a DAG")(BNMAPPOLearner)
