"""Checks of stored data, one module a subject; in SQL, about the run's slice.

What is checked before a write stands with the assets (`assets.publish`).
"""
