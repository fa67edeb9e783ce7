from .ppo_learner import PPOLearner

REGISTRY = {}

REGISTRY["ppo_learner"] = PPOLearner
