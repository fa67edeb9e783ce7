"""Lists the packages: the folder src is the package bn_mappo. Everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=["bn_mappo", *(f"bn_mappo.{name}" for name in find_packages("src"))])
