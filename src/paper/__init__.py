"""The paper's figures, and the ablations of its released code."""
