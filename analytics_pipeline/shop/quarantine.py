"""How much may be in quarantine, as a model of the shop description; the shares are computed in `transforms.shares`."""

from pydantic import Field, model_validator

from analytics_pipeline.shop.protocol import Model


class QuarantineLimits(Model):
    """Largest share of a business day that quarantine may hold; null, or 1, sets no limit.

    Attributes:
        warn_above: Share of a business day above which a warning is reported.
        block_above: Share above which the day is not written.
    """

    warn_above: float | None = Field(default=0.02, ge=0, le=1)
    block_above: float | None = Field(default=0.2, ge=0, le=1)

    @model_validator(mode="after")
    def _warns_first(self) -> "QuarantineLimits":
        is_asked_for = "warn_above" in self.model_fields_set
        if is_asked_for and self.block_above is not None and (self.warn_above or 0) > self.block_above:
            raise ValueError("warn_above must not be larger than block_above: a warning comes before a stop")
        return self
