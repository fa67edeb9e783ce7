"""Statistics, pictures and studies of recorded runs."""
