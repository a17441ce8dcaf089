"""The models of lists that belong to orders: of their own path and pages (`related`), or asked for order by order.

What their records mean is said by the models of the order's own lists: cleaning sees them under the key `into`.
"""

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from analytics_pipeline.shop.endpoints import DatedEndpoint, Endpoint
from analytics_pipeline.shop.placeholders import names_in
from analytics_pipeline.shop.protocol import DottedPath, Expression, Model

ListName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class RelatedFields(Model):
    """Paths from a related record to our fields.

    Attributes:
        record_id: The record's id.
        parent_id: The order's id.
        created_at: Decides the record's business day.
        updated_at: When it was last changed.
    """

    record_id: Expression
    parent_id: Expression
    created_at: Expression
    updated_at: Expression | None = None


class Related(DatedEndpoint):
    """A list whose records name the order that they belong to.

    Attributes:
        fields: Paths of a record's fields.
        into: The key of the order under which cleaning sees them.
    """

    fields: RelatedFields
    into: DottedPath

    @property
    def notices_changes(self) -> bool:
        """Whether the shop can be asked which records changed, and says when they did."""
        return self.changed_since is not None and self.fields.updated_at is not None


class Follow(Endpoint):
    """A list that is asked for order by order, with `{{id}}` in its request.

    Attributes:
        when: Says of an order whether it is asked for.
        cursor: Where in the order the cursor stands at which the list goes on that the order began; None to ask for the
            whole list.
        into: The key of the order under which cleaning sees the records.
    """

    given_places: ClassVar[frozenset[str]] = frozenset({"id"})

    when: Expression
    cursor: Expression | None = None
    into: DottedPath

    @property
    def mapped_fields(self) -> list[str]:
        """Names of mapped fields: none, a record is known by its place in the answer."""
        return []

    @model_validator(mode="after")
    def _fits_an_order(self) -> "Follow":
        if "id" not in names_in((self.path, self.params, self.body)):
            raise ValueError("put {{id}}, the order's id, into path, params or body")
        if self.changed_since is not None:
            raise ValueError("changed_since: what is asked for order by order is asked for when its order has changed")
        if self.cursor is not None and self.pagination.type != "cursor":
            raise ValueError("cursor needs pagination of the type cursor, which goes on from there")
        return self
