"""Ways to play many games at once: on arrays, one after another, one process each."""
