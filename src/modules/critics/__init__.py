"""State values."""
