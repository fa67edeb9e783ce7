"""Exact Bayesian-network policy gradients on finite cooperative Markov games, batched over seeds."""
