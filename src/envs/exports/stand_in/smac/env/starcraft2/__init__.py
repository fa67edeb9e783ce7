"""As smac.env.starcraft2 of the SMAC authors."""
