"""Tests of analytics_pipeline: unit, definitions, and integration on real Postgres and a real HTTP shop."""
