"""Games of other packages behind our interface."""
