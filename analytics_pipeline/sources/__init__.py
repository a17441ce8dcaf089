"""Reading a shop's API: its description, the HTTP client, paging, and the extraction into Arrow record batches.

Nothing here knows Dagster, pandas or Postgres. Start with `load_shop` (spec.py), `ShopClient` (client.py) and the
functions of extraction.py.
"""
