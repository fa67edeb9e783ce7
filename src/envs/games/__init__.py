"""The environments that are a part of this package."""
