"""Opening the warehouse: everything that has to hold of a database before anybody reads or writes it.

One query where nothing is pending, so that each step, sensor and command may open it. Creating the database itself is
the part of whoever has its address.
"""

from contextlib import suppress

from analytics_pipeline.errors import TableMismatchError
from analytics_pipeline.history.binding import refuse_another_shop
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.own_fields import orders_contract
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.layout import add_columns
from analytics_pipeline.warehouse.schema import packaged_schema, prepare, read_stored, refuse_newer


def open_warehouse(database: Database, shop: Shop | None = None) -> Database:
    """Refuse a database that is another shop's or a newer version's, and bring up to date what is pending.

    Args:
        database: Where the tables lie.
        shop: The shop that it has to hold; any when None.

    Returns:
        The database.

    Raises:
        NewerSchemaError: A newer version of the project has been at work on it; nothing was written.
        SettingsError: It is bound to another shop; nothing was written.
        TableMismatchError: A stored table of the history does not fit its shape.
        TableBusyError: A table is to be changed and is in use.
    """
    stored = read_stored(database)
    refuse_newer(database, stored)
    if shop is not None:
        refuse_another_shop(database, shop, stored)
    prepare(database, stored)
    if shop is not None and shop.orders.extra:
        with suppress(TableMismatchError):  # whoever writes the table is refused, and nobody else
            add_columns(database, [orders_contract(shop).table])
    return database


def pending_steps(database: Database, shop: Shop) -> list[str]:
    """Refuse a database as `open_warehouse` does, and return what is pending in place of doing it, a name each."""
    stored = read_stored(database)
    refuse_newer(database, stored)
    refuse_another_shop(database, shop, stored)
    return stored.pending(packaged_schema())
