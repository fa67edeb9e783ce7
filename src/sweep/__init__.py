"""Many training runs: what each is, where they run, and how they go on where they were interrupted."""
