"""Tests of `analytics_pipeline.sources.files`: real files in a folder, each kind of bad one beside good ones."""
