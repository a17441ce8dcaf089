"""What the pipeline knows of its own past, written in the transactions that make it: nothing here imports dagster.

`opening` brings a database up to date; each other module writes and reads the ones that belong together.
"""
