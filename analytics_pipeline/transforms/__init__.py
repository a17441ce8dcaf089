"""From records to rows: pure functions, pandas and Arrow in, pandas out.

Nothing here imports dagster, reads a database or asks a shop.
"""
