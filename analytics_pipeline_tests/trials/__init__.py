"""Trials: long runs of the whole product that no test suite has time for. `python3 make.py trials` runs them.

Each is a test like any other, in a file that the suite does not collect.
"""
