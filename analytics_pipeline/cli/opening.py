"""Opening the database for a command: created when missing, refused when it is not this shop's, brought up to date."""

from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.connection import Database, create_database, data_database


def open_database(settings: Settings, shop: Shop) -> Database:
    """Return the database of the tables.

    Raises:
        SettingsError: It is bound to another shop.
        NewerSchemaError: A newer version of the project has been at work on it.
        DatabaseUnavailableError, DatabaseRefusedError: It cannot be reached or created.
    """
    database = data_database(settings)
    create_database(database)
    return open_warehouse(database, shop)
