"""Stands in for the SMAC authors' package, and plays Skirmish; made by bn_mappo, not by them."""
