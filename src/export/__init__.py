"""Policies outside the laboratory: one folder per agent, a team of processes, and the way back into an evaluation."""
