"""The raw tables of lists that are related to orders: one shape for all of them, made of the list's name.

Which lists there are stands in the shop's description. A row is a record of such a list, with the id of its order.
"""

from functools import cache

from analytics_pipeline.tables.contract import NOT_EMPTY, Contract, column, contract
from analytics_pipeline.tables.shape import DAY, STAMP, TEXT

PREFIX = "order_"
"""How the names of these tables begin."""


@cache
def related_contract(name: str, *, is_followed: bool = False) -> Contract:
    """Return the contract of a related list's raw table.

    Args:
        name: The list's name in the description.
        is_followed: Whether it is asked for order by order: its rows have the order's business day then.
    """
    asked = ", asked for order by order," if is_followed else ""
    return contract(
        f"raw/{PREFIX}{name}",
        f"The records of {name}{asked} as the shop's API sent them; cleaning puts them into their orders.",
        {
            "record_id": column(TEXT, "The record's id; a key of its place or content where it has none.", NOT_EMPTY),
            "record_date": column(
                DAY, "Business day " + ("of the order." if is_followed else "on which the record was created.")
            ),
            "extracted_at": column(STAMP, "When the answer was read from the shop."),
            "payload": column(TEXT, "The record as the shop's API sent it.", NOT_EMPTY, json=True, personal=True),
            "parent_id": column(TEXT, "The order's id; null where the record has none to read.", nullable=True),
        },
        day_column="record_date",
        indexes=("record_date", "parent_id", "record_id"),
    )
