"""Tests of one module each; no Postgres and no Dagster instance."""
