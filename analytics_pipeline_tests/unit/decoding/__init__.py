"""Tests of `analytics_pipeline.decoding` on values made by hand, and on generated ones."""
