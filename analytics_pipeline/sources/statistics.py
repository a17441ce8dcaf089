"""What reading a shop costs: requests, bytes, and the time that was waited, by what it was waited for."""

from dataclasses import dataclass, field


@dataclass
class Statistics:
    """Running totals; requests include retries, redirects and those for credentials, bytes are decoded ones.

    Attributes:
        waited: Seconds by reason: `pace` (so many requests a second), `budget` (the shop said that none are left),
            `points` (the shop's own points come back), `throttled` (it refused for now), `job` (its job was not done),
            `retry` (any other passing fault).
    """

    requests: int = 0
    retries: int = 0
    bytes: int = 0
    waited: dict[str, float] = field(default_factory=dict)

    @property
    def seconds_waited(self) -> float:
        """All of it."""
        return sum(self.waited.values())

    def wait(self, reason: str, seconds: float) -> None:
        """Note a pause."""
        if seconds:
            self.waited[reason] = self.waited.get(reason, 0.0) + seconds

    def copy(self) -> "Statistics":
        """The totals as they are now."""
        return Statistics(self.requests, self.retries, self.bytes, dict(self.waited))

    def since(self, earlier: "Statistics") -> "Statistics":
        """The difference to an earlier copy."""
        waited = {name: seconds - earlier.waited.get(name, 0.0) for name, seconds in self.waited.items()}
        return Statistics(
            self.requests - earlier.requests,
            self.retries - earlier.retries,
            self.bytes - earlier.bytes,
            {name: seconds for name, seconds in waited.items() if seconds},
        )
