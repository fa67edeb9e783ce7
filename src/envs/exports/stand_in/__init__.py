"""A folder for PYTHONPATH: the package `smac` in it plays Skirmish (as_smac.py)."""
