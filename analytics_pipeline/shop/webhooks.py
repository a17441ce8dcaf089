"""How a shop calls by itself when orders change, as a model of its description; what a call does is in `webhooks`."""

from typing import Literal

from pydantic import Field, model_validator

from analytics_pipeline.shop.protocol import LATER, DottedPath, Model, Secret

Dialect = Literal["shopify", "woocommerce", "stripe", "bigcommerce", "standard"]
UNTESTED: tuple[Dialect, ...] = ("bigcommerce",)
"""Dialects whose signature was not tried on a real store."""


class Webhooks(Model):
    """Calls by which the shop says that orders have changed; they are taken by `up --webhooks`.

    Attributes:
        dialect: Whose calls they are: how they are signed, and what they hold. `standard` is Standard Webhooks.
        secret: What they are signed with.
        former_secret: The secret before that one, good as well while the shop changes over; not set, it is none.
        order: Path of the order in a call of the dialect standard.
        pause_seconds: Least seconds between the beginnings of two runs that load one day for its webhooks.
        untested: Takes the calls of a dialect that was not tried on a real store.
    """

    dialect: Dialect
    secret: Secret
    former_secret: Secret | None = LATER
    order: DottedPath = "data"
    pause_seconds: int = Field(default=20, ge=0, le=3600)
    untested: bool = False

    @model_validator(mode="after")
    def _is_tested_or_confirmed(self) -> "Webhooks":
        if self.dialect in UNTESTED and not self.untested:
            raise ValueError(
                f"the signature of {self.dialect} was not tried on a real store; untested: true takes its calls all "
                "the same (a wrong signature refuses them, and polls find the changes)"
            )
        return self
