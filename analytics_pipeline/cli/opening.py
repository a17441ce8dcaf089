"""The database of a shop, for a command: as it is, or opened.

Opened is: created when missing, refused when it is not this shop's, brought up to date.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.history.binding import OPS, bound_shops
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database, create_database, data_database

RAW = RAW_ORDERS.table.schema


def shop_database(settings: Settings, shop: Shop) -> Database:
    """Return the database of the tables as the shop has it, which is not looked at; raises as `data_database`."""
    return data_database(settings).of(shop.namespace)


def open_database(settings: Settings, shop: Shop) -> Database:
    """Return the database of the tables as the shop has it, opened.

    Raises:
        SettingsError: It is bound to another shop.
        NewerSchemaError: A newer version of the project has been at work on it.
        DatabaseUnavailableError, DatabaseRefusedError: It cannot be reached or created.
    """
    database = shop_database(settings, shop)
    create_database(database)
    return open_warehouse(database, shop)


def left_behind(database: Database, shop: Shop) -> str | None:
    """Say where the database holds the shop under another namespace, which nothing reads any more; None if nowhere."""
    found = [
        database.of(namespace).schema(OPS)
        for namespace, bound in bound_shops(database).items()
        if bound.name == shop.name and namespace != database.namespace
    ]
    if not found:
        return None
    return (
        f"the shop {shop.name} is also in {', '.join(found)} and so on, loaded under another `namespace:`, and nothing "
        "reads or loads it there any more. Put that namespace back, or drop those schemas when nobody needs them"
    )


def readable_shops(references: Iterable[str]) -> list[Shop]:
    """Return the shops among some whose descriptions are right."""
    found = []
    for reference in references:
        with suppress(DescriptionError):  # which is told where that shop is
            found.append(load_shop(reference))
    return found


def undescribed(settings: Settings, database: Database) -> list[str]:
    """Say which schemas of the database hold a shop that no description names any more, with the remedy.

    A shop of a described name is not among them: where it has another namespace, see `left_behind`.
    """
    shops = readable_shops(settings.described)
    names = {*(shop.name for shop in shops), *(Path(reference).stem for reference in settings.described)}
    namespaces = {shop.namespace for shop in shops}
    return [
        f"{database.of(namespace).schema(RAW)} and so on hold the shop {bound.name}, which no description names: "
        "nothing here reads or loads it any more. Put its description back"
        + (f" (`namespace: {namespace}`)" if namespace else "")
        + ", or drop those schemas when nobody needs them; they may be another installation's"
        for namespace, bound in bound_shops(database).items()
        if namespace not in namespaces and bound.name not in names
    ]
