"""The database of a shop, for a command: as it is, or opened.

Opened is: created when missing, refused when it is not this shop's, brought up to date.
"""

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
