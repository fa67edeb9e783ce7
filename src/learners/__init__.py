"""Learners: how a controller improves from recorded segments."""

from learners.bn_mappo import BNMAPPOLearner
from learners.ppo_learner import PPOLearner
from utils.registry import Registry

REGISTRY: Registry = Registry("learner")
REGISTRY.register("ppo_learner", "PPO: MAPPO with cv_critic, IPPO with ac_critic")(PPOLearner)
REGISTRY.register("bn_mappo", "PPO plus the annealed density regulariser of a DAG")(BNMAPPOLearner)
