"""Incidents in words: the title and the text of a message. Pure functions; how it travels stands in `sending`."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol, assert_never

from analytics_pipeline.alerts.incidents import (
    CHECK_FAILED,
    DAY_LATE,
    DAY_PARKED,
    RUN_FAILED,
    Incident,
    Phase,
)
from analytics_pipeline.plain import plain, without_addresses

_KINDS = {
    RUN_FAILED: "run failed",
    CHECK_FAILED: "check failed",
    DAY_PARKED: "day given up",
    DAY_LATE: "day late",
}


class Concerned(Protocol):
    """Whom a message is about: a shop, or all of them."""

    @property
    def name(self) -> str:
        """As it is told."""

    @property
    def zone(self) -> tzinfo:
        """Of the moments that are told."""


@dataclass(frozen=True)
class Message:
    """What is sent.

    Attributes:
        title: One line.
        text: Some lines.
        is_over: Whether it is good news.
    """

    title: str
    text: str
    is_over: bool = False


def message_of(incident: Incident, phase: Phase, shop: Concerned, ui_url: str) -> Message:
    """Describe an incident: what, since when, what to do, and where to look."""
    what = plain(f"{_KINDS.get(incident.kind, incident.kind)}: {incident.subject}")
    text = without_addresses(incident.text)
    since = f"{incident.opened_at.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}"
    link = f"{ui_url}/runs/{incident.run_id}" if incident.run_id else ui_url
    match phase:
        case "opened":
            return Message(f"[{shop.name}] {what}", f"{text}\nSince {since}.\n{link}")
        case "open":
            return Message(f"[{shop.name}] still {what}", f"{text}\nSince {since}.\n{link}")
        case "over":
            ended = f"{incident.closed_at.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}" if incident.closed_at else "now"
            return Message(
                f"[{shop.name}] over: {what}", f"From {since} to {ended}. Nothing to do.\n{link}", is_over=True
            )
        case _:
            assert_never(phase)


def trial_message(shop: Concerned) -> Message:
    """Return the message that only shows that messages arrive."""
    return Message(f"[{shop.name}] test", "A test of the alerts of analytics-pipeline. Nothing to do.", is_over=True)
