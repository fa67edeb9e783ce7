"""Playing, learning, evaluating, and keeping what a run has earned."""
