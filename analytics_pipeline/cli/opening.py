"""The database of a shop, for a command: as it is, or opened.

Opened is: created when missing, refused when it is not this shop's, brought up to date.
"""

from analytics_pipeline.history.binding import held_elsewhere
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.connection import Database, create_database, data_database


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
    if not (found := held_elsewhere(database, shop)):
        return None
    return (
        f"the shop {shop.name} is also in {', '.join(found)} and so on, loaded under another `namespace:`, and nothing "
        "reads or loads it there any more. Put that namespace back, or drop those schemas when nobody needs them"
    )
