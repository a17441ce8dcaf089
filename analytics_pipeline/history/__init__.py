"""What the pipeline knows of its own past, written in the transactions that make it: nothing here imports dagster.

`prepare` makes the tables of `tables.history`; each other module writes and reads the ones that belong together.
"""
