"""Coordination graphs: values of pairs of actions, and the joint action of the highest value."""
