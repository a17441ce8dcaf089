"""The same year with dlt: invoices, their lines as dlt's child table, customers and products, raw tables only.

    python -m benchmarks.dlt_load SHOP_URL API_KEY DATABASE_URL

It leaves them in the schema `dlt_raw`. No typing, no cleaning, no ledger, no marts and no checks: less than the
pipeline does.
"""

import os
import sys
import tempfile
from urllib.parse import parse_qs, quote, urlsplit

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.destinations import postgres
from dlt.sources.rest_api import rest_api_source


def main(shop_url: str, api_key: str, database_url: str) -> None:
    """Load the whole year."""
    source = rest_api_source(
        {
            "client": {
                "base_url": shop_url,
                "auth": {"type": "api_key", "name": "X-Api-Key", "api_key": api_key, "location": "header"},
            },
            "resource_defaults": {"write_disposition": "replace"},
            "resources": [
                {
                    "name": "invoices",
                    "primary_key": "number",
                    "endpoint": {
                        "path": "/v1/invoices",
                        "params": {"limit": 500},
                        "data_selector": "invoices",
                        "paginator": {"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"},
                    },
                },
                {
                    "name": "customers",
                    "primary_key": "id",
                    "endpoint": {
                        "path": "/v1/customers",
                        "params": {"size": 500},
                        "data_selector": "items",
                        "paginator": {
                            "type": "page_number",
                            "base_page": 1,
                            "page_param": "page",
                            "total_path": "pages",
                        },
                    },
                },
                {
                    "name": "products",
                    "primary_key": "stock_code",
                    "endpoint": {
                        "path": "/v1/products",
                        "data_selector": "results",
                        "paginator": {"type": "offset", "limit": 500, "total_path": "count"},
                    },
                },
            ],
        }
    )
    parts = urlsplit(database_url)
    credentials = {
        "username": parts.username,
        "password": parts.password or "none",
        "host": parts.hostname or quote(parse_qs(parts.query)["host"][0], safe=""),
        "port": parts.port or 5432,
        "database": parts.path.lstrip("/"),
    }
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("benchmark", folder, destination=postgres(credentials), dataset_name="dlt_raw")
        print(pipeline.run(source))


if __name__ == "__main__":
    main(*sys.argv[1:])
