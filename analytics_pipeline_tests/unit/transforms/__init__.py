"""Tests of the transforms: hand-written records, no database."""
