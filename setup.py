"""For tools that look for setup.py beside a Frappe app; everything is said in pyproject.toml."""

from setuptools import setup

setup()
