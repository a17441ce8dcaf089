"""The version of the rules by which a record is judged: one short hash over everything that decides it.

What is asked of the shop, how fast and with which credentials, decides nothing about a record and is left out.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pandera.pandas import Check

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contract import FORMERLY, Contract
from analytics_pipeline.tables.contracts import CLEAN_ORDER_LINES, CLEAN_ORDERS, CLEAN_SALES

PACKAGE = "analytics-pipeline"
JUDGING_KEYS = {
    *("fields", "includes_tax", "lines", "extra", "charges", "refunds", "exclude", "returns_when", "cancelled_when"),
}
"""Keys of the description's `orders` that decide what becomes of a record."""
JUDGING_CONTRACTS = (CLEAN_ORDERS, CLEAN_ORDER_LINES, CLEAN_SALES)
DIGITS = 12


@dataclass(frozen=True)
class Rules:
    """What a description alone decides about days of orders; what is left at its default is no part of it.

    Attributes:
        timezone: Bounds the days.
        currency: Of orders that name none.
        cut: Hash of all that decides on which day an order is: time zone, stamps, paths of id and moment.
        mapping: Hash of all that decides what becomes of a record.
        text: The rules as JSON.
    """

    timezone: str
    currency: str
    cut: str
    mapping: str
    text: str


def rules_of(shop: Shop) -> Rules:
    """Return the rules of a description, the same for every version of the project.

    Args:
        shop: The description.
    """
    orders = shop.orders.model_dump(mode="json", include=JUDGING_KEYS, exclude_defaults=True) | _joined(shop)
    times = shop.times_of(shop.orders).model_dump(mode="json", exclude_defaults=True)
    rules = {"orders": orders, "times": times, "currency": shop.currency, "timezone": shop.timezone, **_money(shop)}
    fields = {name: getattr(shop.orders.fields, name) for name in ("order_id", "created_at")}
    return Rules(
        shop.timezone,
        shop.currency,
        cut=_hash({"fields": fields, "times": times, "timezone": shop.timezone}),
        mapping=_hash({"orders": orders, "times": times, **_money(shop)}),
        text=json.dumps(rules, sort_keys=True),
    )


def _joined(shop: Shop) -> dict[str, Any]:
    """Return what is judged of the lists that belong to orders; nothing where there are none."""
    lists = {
        "related": {
            name: one.model_dump(mode="json", include={"fields", "into", "times"}, exclude_none=True)
            for name, one in shop.orders.related.items()
        },
        "follow": {name: one.model_dump(include={"when", "into"}) for name, one in shop.orders.follow.items()},
    }
    return {key: described for key, described in lists.items() if described}


def contract_version(shop: Shop) -> str:
    """Return the version as twelve hex digits, the same in every process for the same rules.

    It changes with the mapping of orders, stamps, currency, time zone, the contracts of the clean order tables and the
    project's own version. The order in which keys are written does not count.

    Args:
        shop: The description.
    """
    return _hash({**_rules(shop), "project": version(PACKAGE)})


def code_version(shop: Shop) -> str:
    """Return the same without the project's own version: a number that changes with it changes by definition.

    Args:
        shop: The description.
    """
    return _hash(_rules(shop))


def dimension_code_version(shop: Shop, contract: Contract) -> str:
    """Return the same for customers or for products, whose rules are their own fields and contract.

    Args:
        shop: The description.
        contract: The clean table's, of the same name as the list in the description.
    """
    described = getattr(shop, contract.table.name)
    records = described.model_dump(mode="json", include={"fields", "empty"})
    times = {"times": shop.times_of(described).model_dump(mode="json"), "timezone": shop.timezone}
    return _hash({"records": records, **times, **_money(shop), "contract": _promises(contract)})


def _rules(shop: Shop) -> dict[str, Any]:
    # What is not given is left out, so that rules of before the key existed are still the same ones.
    judging = JUDGING_KEYS | ({"empty"} if shop.orders.empty else set())
    return {
        "orders": shop.orders.model_dump(mode="json", include=judging) | _joined(shop),
        "times": shop.times_of(shop.orders).model_dump(mode="json"),
        "currency": shop.currency,
        "timezone": shop.timezone,
        **_money(shop),
        "contracts": [_promises(contract) for contract in JUDGING_CONTRACTS],
    }


def _money(shop: Shop) -> dict[str, Any]:
    """Return what is said of amounts; nothing where nothing is."""
    money = shop.money.model_dump(mode="json", exclude_defaults=True)
    return {"money": money} if money else {}


def _hash(rules: dict[str, Any]) -> str:
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _promises(contract: Contract) -> dict[str, Any]:
    """Return what a contract demands of its rows, descriptions apart.

    Without later columns, and with the rules of before these: what fills them is among the description's keys.
    """
    columns = {
        column.name: [
            column.postgres_type,
            column.is_nullable and not column.was_required,
            _rules_in_words(contract.schema.columns[column.name].checks),
        ]
        for column in contract.table.columns
        if not column.is_later
    }
    return {
        "table": contract.table.qualified_name,
        "columns": columns,
        "rules": _rules_in_words(contract.schema.checks),
        "key": list(contract.table.key),
    }


def _rules_in_words(checks: Iterable[Check]) -> list[str]:
    return [FORMERLY.get(str(check.error), str(check.error)) for check in checks]
