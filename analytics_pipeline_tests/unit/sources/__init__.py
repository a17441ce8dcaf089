"""Tests of `analytics_pipeline.sources`: pure functions as they are, HTTP against a real server on loopback."""
