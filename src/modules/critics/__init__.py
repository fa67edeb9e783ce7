"""Networks of the state values."""
