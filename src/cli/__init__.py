"""Command lines: parsing and printing, no logic."""
