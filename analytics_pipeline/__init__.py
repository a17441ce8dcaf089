"""A shop's API to revenue in Postgres, as Dagster assets.

Nothing is imported here: `analytics_pipeline.definitions` is what Dagster loads, `analytics_pipeline.cli` what a shell
runs.
"""
