"""Cooperative multi-agent reinforcement learning along learned Bayesian networks of actions."""
