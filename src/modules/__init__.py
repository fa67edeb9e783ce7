"""Networks and their parts. They know neither the configuration nor environments."""
