"""What a description says of a shop that is read from files: where they lie, which ones, and what their rows mean.

How a file is read (encoding, columns, numbers) is in reading.py. A record of orders is made of the rows of a file: the
columns of the order's first row, and under `rows` all of its rows, so that the mapping reads it as one of an API's.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from analytics_pipeline.shop.endpoints import Records
from analytics_pipeline.shop.fields import CustomerFields, Lines, OrderFields, ProductFields
from analytics_pipeline.shop.orders import OrderMapping
from analytics_pipeline.shop.protocol import Expression, FieldPath, Model, Text
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.shop.related import Follow, Related

ROWS, FILE, LINE, ID, UNREADABLE = "rows", "_file", "_line", "_id", "_unreadable"
"""Keys of a record that no column has: its rows, the file and the line that each is of, the id of an order that has
none, and what could not be read."""

PLACES = (FILE, LINE, f"{ROWS}[].{FILE}", f"{ROWS}[].{LINE}")
"""Where in a record its places are: no other version of an order follows from them."""


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Globs = Annotated[
    tuple[Text, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Files(Model):
    """Where a shop's files lie.

    Attributes:
        folder: The folder, absolute or from the project folder, or a bucket as s3://bucket/prefix.
        settle_seconds: A file whose size or time changed within so many seconds is left for the next look.
    """

    folder: Text
    settle_seconds: float = Field(default=5, ge=0)


class FileList(Reading, Records):
    """A list that is read from files.

    Attributes:
        files: Which files, as a pattern below the folder or several: `sales*.csv`, `**/orders.csv`.
    """

    files: Globs = ()


class FileOrderFields(OrderFields):
    """Paths from an order's record to our fields.

    Attributes:
        order_id: The column by which rows are one order; without it each row is an order.
    """

    order_id: Expression = ID


class FileLines(Lines):
    """Where an order's lines are.

    Attributes:
        records: The order's list of lines: its rows, or a list within a row that is an order.
        fields: Paths of a line's fields.
    """

    records: Expression = ROWS


class FileOrders(FileList, OrderMapping):
    """The shop's orders, as files have them.

    Attributes:
        whole_orders: Whether the newest file that has an order has all of it; else rows of several files are joined.
        fields: Paths of an order's fields.
        lines: The order's lines.
        volatile: Paths in which two versions of an order may differ and be the same.
    """

    whole_orders: bool = False
    fields: FileOrderFields
    lines: FileLines
    volatile: Annotated[tuple[FieldPath, ...], Field(strict=False)] = PLACES

    @field_validator("files")
    @classmethod
    def _are_some(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if not files:
            raise ValueError("names no file")
        return files

    @property
    def has_ids(self) -> bool:
        """Whether a column says which order a row belongs to."""
        return self.fields.order_id != ID

    @property
    def related(self) -> dict[str, Related]:
        """Lists of their own path that belong to orders: none."""
        return {}

    @property
    def follow(self) -> dict[str, Follow]:
        """Lists that are asked for order by order: none."""
        return {}

    @property
    def joined(self) -> dict[str, str]:
        """The keys of an order under which the records of such lists are: none."""
        return {}

    @property
    def shown_days(self) -> int | None:
        """How many days an order is shown: for ever."""
        return None


class FileCustomers(FileList):
    """The shop's customers, as files have them.

    Attributes:
        whole: Whether the newest file is the whole list: a row that it lacks is gone. Else all files together are.
        fields: Paths of a customer's fields.
    """

    whole: bool = False
    fields: CustomerFields = CustomerFields(customer_id=ID)


class FileProducts(FileList):
    """The shop's products, as files have them.

    Attributes:
        whole: Whether the newest file is the whole list: a row that it lacks is gone. Else all files together are.
        fields: Paths of a product's fields.
    """

    whole: bool = False
    fields: ProductFields = ProductFields(product_id=ID)
