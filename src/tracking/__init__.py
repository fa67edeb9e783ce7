"""Records of runs: folders, metrics, MongoDB, and what shows them."""
