"""Postgres, without Dagster: the embedded server, connections, and reading and writing slices of tables.

Table shapes come from `analytics_pipeline.tables.shape`; how Dagster uses this stands in `orchestration`.
"""
