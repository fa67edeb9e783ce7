"""The configuration: YAML files, and the Python that reads and checks them."""
