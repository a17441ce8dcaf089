"""When orders were first seen cancelled, of shops that say that an order is cancelled and not since when.

Kept in the write of the ledger, so that cleaning the same record again finds the same moment; forgotten once the order
is clean and not cancelled. An order in quarantine is neither.
"""

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_ORDERS
from analytics_pipeline.tables.history import CANCELLATIONS_SEEN
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import exists

SEEN, ORDERS = CANCELLATIONS_SEEN.sql_name, CLEAN_ORDERS.table.sql_name


def cancellations_seen(database: Database, shop: Shop, order_ids: Collection[str]) -> dict[str, datetime]:
    """Return since when some orders are cancelled, of those that were seen so; none where the shop says it itself."""
    if shop.orders.cancelled_when is None or not order_ids or not exists(database, CANCELLATIONS_SEEN):
        return {}
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select order_id, cancelled_at from {SEEN} where order_id = any($1)", (sorted(order_ids),))
        return dict(cursor.fetchall())


@dataclass(frozen=True)
class CancellationsKept:
    """Keeps since when the clean orders of the written days are cancelled; comes once these are in."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Forget those that are not cancelled, keep the others."""
        del table
        if part is None:
            return
        of_days = f"from {ORDERS} where {CLEAN_ORDERS.table.where(part)}"
        cursor.execute(f"delete from {SEEN} where order_id in (select order_id {of_days} and cancelled_at is null)")
        cursor.execute(
            f"insert into {SEEN} (order_id, cancelled_at, seen_at) "
            f"select order_id, cancelled_at, clock_timestamp() {of_days} and cancelled_at is not null "
            "on conflict (order_id) do update set cancelled_at = excluded.cancelled_at "
            f"where {CANCELLATIONS_SEEN.name}.cancelled_at <> excluded.cancelled_at"
        )
