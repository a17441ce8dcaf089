"""What calls have left to do: days to load, a poll to make; and what to say of the calls."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from analytics_pipeline.history.stale import WEBHOOK
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS, POLLS, STALE_DAYS
from analytics_pipeline.tables.webhooks import WEBHOOK_CALLS, WEBHOOK_REFUSALS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query
from analytics_pipeline.webhooks.marking import POLL, WAITING

CALLS = WEBHOOK_CALLS.sql_name


@dataclass(frozen=True)
class Due:
    """What calls have left to do now.

    Attributes:
        days: Days to be loaded for them, whose last load began long enough ago.
        needs_poll: Whether the shop is to be asked what changed: a day is not known, and no poll has begun since.
        is_waiting: Whether there are calls that nobody has judged yet.
    """

    days: frozenset[date]
    needs_poll: bool
    is_waiting: bool


def read_due(database: Database, pause_seconds: int) -> Due:
    """Return what is due, by one query: it is asked every few seconds.

    Args:
        database: Where the tables lie.
        pause_seconds: Least seconds between the beginnings of two loads of one day.
    """
    found = query(
        database,
        f"""
        select
            array(
                select distinct stale.day from {STALE_DAYS.sql_name} as stale
                left join {MATERIALISED_DAYS.sql_name} as written
                    on written.table_name = '{RAW_ORDERS.table.qualified_name}' and written.day = stale.day
                where stale.reason = '{WEBHOOK}'
                and coalesce(written.as_of, '-infinity') <= clock_timestamp() - interval '{pause_seconds} seconds'
            ) as days,
            exists (
                select from {CALLS} where outcome = '{POLL}'
                and received_at > (
                    select coalesce(max(coalesce(as_of, polled_at)), '-infinity') from {POLLS.sql_name}
                )
            ) as needs_poll,
            exists (select from {CALLS} where outcome = '{WAITING}') as is_waiting
        """,
    )[0]
    return Due(frozenset(found["days"]), found["needs_poll"], found["is_waiting"])


@dataclass(frozen=True)
class Traffic:
    """The calls of the last 24 hours, and what waits.

    Attributes:
        last_at: When the last call of all was taken; None before the first one.
        last_topic: What it was about.
        taken: How many were taken.
        repeated: How many of the calls of these hours came again.
        refused: How many were refused today and yesterday (UTC), by reason.
        days: Days that wait to be loaded for them.
        since: Since when the first of these waits.
    """

    last_at: datetime | None
    last_topic: str
    taken: int
    repeated: int
    refused: dict[str, int]
    days: int
    since: datetime | None

    @property
    def are_all_refused(self) -> bool:
        """Whether calls come and none is taken: a secret is wrong, or somebody else calls."""
        return not self.taken and any(self.refused.get(word) for word in ("wrong_signature", "unsigned", "late"))


def read_traffic(database: Database) -> Traffic:
    """Return what came lately; nothing where the tables are not there yet."""
    if not exists(database, WEBHOOK_REFUSALS):
        return Traffic(None, "", 0, 0, {}, 0, None)
    row = query(
        database,
        f"""
        select
            (select max(received_at) from {CALLS}) as last_at,
            (select topic from {CALLS} order by received_at desc limit 1) as last_topic,
            count(*) as taken, coalesce(sum(repeats), 0)::bigint as repeated,
            (select count(distinct day) from {STALE_DAYS.sql_name} where reason = '{WEBHOOK}') as days,
            (select min(first_seen_at) from {STALE_DAYS.sql_name} where reason = '{WEBHOOK}') as since
        from {CALLS} where received_at > clock_timestamp() - interval '24 hours'
        """,
    )[0]
    refused = query(
        database,
        f"select reason, sum(calls)::bigint as calls from {WEBHOOK_REFUSALS.sql_name} "
        "where day >= (clock_timestamp() at time zone 'UTC')::date - 1 group by reason order by reason",
    )
    counts = {one["reason"]: int(one["calls"]) for one in refused}
    return Traffic(
        row["last_at"], row["last_topic"] or "", row["taken"], row["repeated"], counts, row["days"], row["since"]
    )


def describe_traffic(found: Traffic, zone: ZoneInfo) -> str:
    """Describe it in a line, with times of a zone."""
    if found.last_at is None and not found.refused:
        return "no call has come yet"
    last = "none was taken yet"
    if found.last_at is not None:
        last = f"last call {_moment(found.last_at, zone)} ({found.last_topic})"
    refused = ", ".join(f"{number} {word}" for word, number in found.refused.items())
    waiting = "no day waits"
    if found.days and found.since is not None:
        many = found.days > 1
        waiting = f"{found.days} day{'s wait' if many else ' waits'} to be loaded, since {_moment(found.since, zone)}"
    return (
        f"{last}; in 24 hours {found.taken} taken, {found.repeated} of them repeated; refused since yesterday: "
        f"{refused or 'none'}; {waiting}"
    )


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"
