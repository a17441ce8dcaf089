"""Definitions tests; see conftest.py of the package for what they stand on."""
