"""Learners: how a controller improves from recorded segments."""

from bn_mappo.core.registry import Registry
from bn_mappo.learners.bn_mappo import BNMAPPOLearner
from bn_mappo.learners.magpo import MAGPOLearner
from bn_mappo.learners.ppo_learner import PPOLearner
from bn_mappo.learners.q_learner import QLearner

REGISTRY: Registry = Registry("learner")
REGISTRY.register("ppo_learner", "PPO: MAPPO with cv_critic, IPPO with ac_critic")(PPOLearner)
REGISTRY.register("bn_mappo", "PPO plus the annealed density regulariser of a DAG")(BNMAPPOLearner)
REGISTRY.register("magpo", "PPO for a guide along a DAG, and for the independent team that follows it")(MAGPOLearner)
REGISTRY.register("q_learner", "Q-learning on replayed episodes: IQL, VDN or QMIX, as the mixer says")(QLearner)
