"""Figures that need many training runs: a grid of runs, what they earned, and the pictures and tables made of it."""
