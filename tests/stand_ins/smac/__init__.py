"""Stands in for the SMAC authors' package in tests: only what its users can see, and none of StarCraft II."""
