"""Networks of the agents' policies."""
