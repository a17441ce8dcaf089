"""Tests of what judges and explains daily figures."""
