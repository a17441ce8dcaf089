"""Opening the database for a command: created when missing, and refused when it is another shop's."""

from analytics_pipeline.history.binding import refuse_another_shop
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.connection import Database, create_database, data_database


def open_database(settings: Settings, shop: Shop) -> Database:
    """Return the database of the tables.

    Raises:
        SettingsError: It is bound to another shop.
        DatabaseUnavailableError, DatabaseRefusedError: It cannot be reached or created.
    """
    database = data_database(settings)
    create_database(database)
    refuse_another_shop(database, shop)
    return database
