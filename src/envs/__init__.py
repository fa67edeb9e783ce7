"""Environments: the interface, the games, and how many of them are played at once."""
