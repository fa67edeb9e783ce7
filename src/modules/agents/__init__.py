"""Policies of the agents."""
