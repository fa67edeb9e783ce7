"""Transformers over the agents of a team: one token an agent, its own or that of the agent before it."""
