"""Toy environments in the shape of other people's packages, with spaces that LBF, RWARE and MPE do not have."""
