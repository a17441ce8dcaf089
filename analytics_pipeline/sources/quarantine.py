"""How much may be in quarantine, as a model of the shop description; the shares are computed in `transforms.shares`."""

from pydantic import Field, model_validator

from analytics_pipeline.sources.protocol import Model


class QuarantineLimits(Model):
    """Largest share of a business day, of its orders or their money, that quarantine may hold; None sets no limit."""

    warn_above: float | None = Field(default=None, ge=0, le=1)
    block_above: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _warns_first(self) -> "QuarantineLimits":
        if self.warn_above is not None and self.block_above is not None and self.warn_above > self.block_above:
            raise ValueError("warn_above must not be larger than block_above: a warning comes before a stop")
        return self
