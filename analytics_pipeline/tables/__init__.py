"""Shapes of tables, contracts of raw and clean ones, and the tables of the pipeline's own history.

What is written into them, and when, is said elsewhere.
"""
