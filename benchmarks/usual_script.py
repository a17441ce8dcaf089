"""The script that most teams begin with: requests, json_normalize, floats, to_sql, groupby.

No keys, no checks, no rerun.

    python -m benchmarks.usual_script SHOP_URL API_KEY SQLALCHEMY_URL

It reads the real shop's year and leaves `invoices`, `lines` and `daily` in the schema `script`.
"""

import sys
import time

import pandas as pd
import requests
import sqlalchemy


def main(shop_url: str, api_key: str, database_url: str) -> None:
    """Extract, flatten, load and aggregate the whole year, with the time of each part."""
    started = time.perf_counter()

    def report(part: str) -> None:
        nonlocal started
        print(f"{part} {time.perf_counter() - started:.2f} s")
        started = time.perf_counter()

    session = requests.Session()
    session.headers["X-Api-Key"] = api_key
    invoices: list[dict[str, object]] = []
    params: dict[str, str] = {"limit": "500"}
    while True:
        answer = session.get(f"{shop_url}/v1/invoices", params=params, timeout=60).json()
        invoices += answer["invoices"]
        if not answer["next"]:
            break
        params["cursor"] = answer["next"]
    report("extract")
    lines = pd.json_normalize(invoices, "lines", ["number", "type", "created", "customer_id", "country", "currency"])
    lines["unit_price"] = lines["unit_price"].astype(float)
    lines["created"] = pd.to_datetime(lines["created"])
    lines["amount"] = lines["quantity"] * lines["unit_price"]
    report("json_normalize")
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create schema if not exists script"))
    heads = pd.DataFrame(invoices).drop(columns="lines")
    heads.to_sql("invoices", engine, schema="script", if_exists="replace", index=False)
    lines.to_sql("lines", engine, schema="script", if_exists="replace", index=False)
    report("to_sql")
    sales = lines[lines["type"] != "adjustment"]
    daily = sales.groupby(sales["created"].dt.date)["amount"].sum().rename("net_sales").reset_index()
    daily.to_sql("daily", engine, schema="script", if_exists="replace", index=False)
    report("groupby")
    print(f"net sales {daily['net_sales'].sum():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
