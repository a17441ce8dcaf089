"""Descriptions that lead to the same orders, or to the same account of an API: what is then counted or asked twice."""

import json
from collections.abc import Iterator, Mapping, Sequence

from analytics_pipeline.errors import MissingSecretError
from analytics_pipeline.shop.references import has_reference, resolve
from analytics_pipeline.shop.spec import Shop

OF_A_REQUEST = {"path", "method", "params", "body", "created_window"}


def twins_of(shop: Shop, others: Sequence[Shop], environment: Mapping[str, str]) -> list[str]:
    """Say which other shops are asked for the same, with the remedy; no secret is told.

    Args:
        shop: A shop.
        others: All shops; itself is none of its twins.
        environment: The variables of references.
    """
    place = _place(shop, environment)
    twins = (other for other in others if other.name != shop.name and _place(other, environment) == place)
    return [*filter(None, (_fault(shop, other) for other in twins))]


def same_tables(shop: Shop, others: Sequence[Shop]) -> list[str]:
    """Say which other shops would write this one's tables, with the remedy; no command can be about two of them.

    Args:
        shop: A shop.
        others: All shops, itself too.
    """
    what = "has no `namespace:` either" if shop.namespace is None else f"has the namespace {shop.namespace} too"
    return [
        f"{other.name} {what}, so both would write the same tables: give one of them a `namespace:` of its own, or "
        "delete its description"
        for other in others
        if other.namespace == shop.namespace and other.name != shop.name
    ]


def _fault(shop: Shop, other: Shop) -> str | None:
    if _orders(shop) == _orders(other):
        return (
            f"{other.name} reads the same orders, so that a mart over all shops counts them twice, unless what each "
            "leaves out tells them apart. Keep one of the two, or ask each for its own orders"
        )
    if shop.is_of_files:
        return None
    return (
        f"{other.name} asks the same address with the same credentials, and each keeps to its own request_budget: give "
        "each of them a part of what the shop allows"
    )


def _place(shop: Shop, environment: Mapping[str, str]) -> list[str]:
    """Return address and credentials, with the values of references as far as these are set."""
    folder = shop.files.folder if shop.files is not None and shop.is_of_files else ""
    described = [(shop.base_url or "").rstrip("/"), folder, *_texts(json.loads(shop.auth.model_dump_json()))]
    headers = [f"{name.lower()}: {value}" for name, value in sorted(shop.headers.items())]
    return [_resolved(text, environment) for text in (*described, *headers)]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name in sorted(value):
            yield from (f"{name}", *_texts(value[name]))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    else:
        yield str(value)


def _resolved(text: str, environment: Mapping[str, str]) -> str:
    try:
        return resolve(text, environment).rstrip("/") if has_reference(text) else text
    except MissingSecretError:
        return text


def _orders(shop: Shop) -> str:
    wanted = {"files"} if shop.is_of_files else OF_A_REQUEST
    return json.dumps(shop.orders.model_dump(mode="json", include=wanted), sort_keys=True)
