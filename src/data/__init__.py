"""What learners learn from."""
