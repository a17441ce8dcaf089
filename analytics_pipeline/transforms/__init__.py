"""From records to rows: pure functions, pandas and Arrow in, pandas out. Imports no dagster, reads no database, asks no shop."""
