"""Other frameworks that our algorithms run in."""
