"""Tests of `analytics_pipeline`."""
