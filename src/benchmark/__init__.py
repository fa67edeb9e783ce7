"""Algorithms held against each other on the tasks of a suite: the command `benchmark`."""
