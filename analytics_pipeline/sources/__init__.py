"""Where a shop's records come from: its API, its files or its public pages, read into Arrow record batches.

Nothing here knows Dagster or pandas, and Postgres only what reads files that were taken in (files/store.py). Start with
`Source` (source.py) and `open_source` (opening.py); of an API with `ShopClient` (client.py) and extraction.py.
"""
