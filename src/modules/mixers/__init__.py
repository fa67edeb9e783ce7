"""Networks that mix the agents' values into one of the team."""
