"""The damages that `mutations` makes, by part of the product; each names the tests that have to notice it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Damage:
    """One small damage.

    Attributes:
        path: The damaged file, from the project's folder.
        old: A text that stands in it once.
        new: What stands there instead.
        tests: What is run: files or single tests, as pytest takes them.
    """

    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied_to(self, text: str) -> str:
        """Return the damaged text of the file.

        Raises:
            ValueError: The old text does not stand there exactly once.
        """
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path} holds {self.old!r} {text.count(self.old)} times; it has to stand there once")
        return text.replace(self.old, self.new)


_TESTS = "analytics_pipeline_tests"
_INCIDENTS = (f"{_TESTS}/unit/test_incidents.py", f"{_TESTS}/integration/test_alerts.py")
_SLICES = (
    f"{_TESTS}/integration/test_database_slices.py",
    f"{_TESTS}/integration/test_io_manager.py",
    f"{_TESTS}/integration/test_runs_at_once.py",
)
_READINGS = (f"{_TESTS}/unit/late_changes/test_readings.py", f"{_TESTS}/unit/late_changes/test_feed.py")
_FEED = (f"{_TESTS}/unit/late_changes/test_feed.py",)
_PLANS = (
    f"{_TESTS}/unit/late_changes/test_gaps.py",
    f"{_TESTS}/unit/late_changes/test_rounds.py",
    f"{_TESTS}/unit/late_changes/test_due.py",
)
_POLLS = (f"{_TESTS}/integration/test_late_changes.py", f"{_TESTS}/cases/test_late_changes.py")
_PROVING = (f"{_TESTS}/unit/history/test_proving.py",)
_RECONCILIATION = (f"{_TESTS}/integration/test_checks_stored.py",)

_ALL_SHOPS = (f"{_TESTS}/unit/test_all_shops.py",)
_MARTS_OF_SHOPS = (f"{_TESTS}/unit/test_marts_of_shops.py",)


def _of(path: str, tests: tuple[str, ...], *changes: tuple[str, str]) -> tuple[Damage, ...]:
    return tuple(Damage(f"analytics_pipeline/{path}", old, new, tests) for old, new in changes)


DAMAGES: tuple[Damage, ...] = (
    *_of(
        "alerts/all_shops.py",
        _ALL_SHOPS,
        ("left_over -= {*run.days}", "left_over -= set()"),
        ("elif run.days is None or left_over", "elif left_over"),
        ("if not open_incidents:", "if True:"),
    ),
    *_of(
        "marts/currencies.py",
        _MARTS_OF_SHOPS,
        ("and node.find(exp.AggFunc) is None", ""),
        ("if _tells(one, names) and not any(", "if _tells(one, names) or not any("),
        ("isinstance(node, exp.Count | exp.CountIf)", "isinstance(node, exp.CountIf)"),
        ("names |= found", "break"),
    ),
    *_of(
        "marts/shops.py",
        _MARTS_OF_SHOPS,
        ("found.set(name, value)", "pass"),
        ('column.set("db", None)', "pass"),
        ("if is_alone else", "or"),
    ),
    *_of(
        "shop/twins.py",
        _ALL_SHOPS,
        ("other.name != shop.name and", ""),
        ("if _orders(shop) == _orders(other):", "if True:"),
        ("return resolve(text, environment)", "return text or resolve(text, environment)"),
    ),
    *_of(
        "alerts/incidents.py",
        _INCIDENTS,
        ("POLLS_MISSED = 4", "POLLS_MISSED = 400"),
        ("SHORTEST_SILENCE = timedelta(hours=1)", "SHORTEST_SILENCE = timedelta(0)"),
        ("for key, trouble in now_wrong.items() if key not in known)", "for key, trouble in now_wrong.items())"),
        ("trouble.run_id != known[key].run_id", "trouble.run_id == known[key].run_id"),
        ("if key not in now_wrong and not _is_out_of_sight", "if key not in now_wrong or not _is_out_of_sight"),
        ("key=lambda run: run.ended_at, reverse=True", "key=lambda run: run.ended_at"),
        ("now - incident.last_sent_at >= repeat_after", "now - incident.last_sent_at > 2 * repeat_after"),
        ("incident.over_sent_at is not None and now -", "incident.over_sent_at is None or now -"),
        ('return "opened" if incident.sends <= 1', 'return "opened" if incident.sends <= 2'),
        ("if check.run_id not in reported_by_runs or", "if True or"),
        ("run.succeeded and run.ended_at > since and", "run.succeeded and"),
        ("and run.job in WHOLE_JOBS | {job}]", "]"),
        ("not run.days.first <= day <= run.days.last", "not run.days.first <= day"),
    ),
    *_of(
        "warehouse/slices.py",
        _SLICES,
        ("        take_turns(self.cursor, *(table.qualified_name for table in self._tables))\n", ""),
        ("        for table in self._tables if not keeps_rows else ():", "        for table in ():"),
        ('(f" where {table.where(part)}" if part is not None else "")', '""'),
        ("if part is not None else", "if part else"),
        ("where {column} in (select {column} from {staged})", "where false"),
        ("where changed_at <= extracted_at", "where true"),
    ),
    *_of(
        "warehouse/turns.py",
        _SLICES,
        ("set transaction isolation level read committed", "set transaction isolation level repeatable read"),
    ),
    *_of(
        "days.py",
        (f"{_TESTS}/unit/test_days.py",),
        ("between date '{first}' and date '{last}'", "between date '{last}' and date '{last}'"),
        ("' or '.join(ranges) or 'false'", "' and '.join(ranges) or 'false'"),
        ("or 'false'", "or 'true'"),
        ("next_one - one != _ONE", "next_one - one == _ONE"),
        ("day <= self.spans[place][1]", "day < self.spans[place][1]"),
    ),
    *_of(
        "late_changes/readings.py",
        _READINGS,
        ("return self.counted is not None and len(self.stamps) + self.versions_beside < self.counted", "return False"),
        ("self.has_moved = True", "self.has_moved = False"),
        ("stamp < self._newest", "stamp > self._newest"),
        ("self.is_ascending = False", "self.is_ascending = True"),
        ("return known <= earlier.stamps.keys() <= self.stamps.keys()", "return True"),
        ("if self.counted is None:\n            return", "if False:\n            return"),
        ("return self.pages <= 1 and (is_all or not self.stamps)", "return self.pages <= 1"),
        ("stamp is None or stamp <= began", "stamp is not None and stamp <= began"),
    ),
    *_of(
        "late_changes/feed.py",
        _FEED,
        ("READINGS = 5", "READINGS = 1"),
        ("return counted is None or len(seen) + shifted.versions_beside >= counted", "return True"),
        ('if stamp and stamp <= row["extracted_at"]', "if stamp"),
        ("is_whole = reading.fault is None\n", "is_whole = True\n"),
        ("not page.is_ascending:\n                return False", "not page.is_ascending:\n                return True"),
    ),
    *_of(
        "late_changes/gaps.py",
        _PLANS,
        ("if len(days) <= most for", "if len(days) < most for"),
        ("days=1 if is_due else 2", "days=1"),
        ("last = max(last, *loaded)", "last = max(loaded)"),
    ),
    *_of(
        "late_changes/rounds.py",
        _PLANS,
        (
            "SETTLING, OTHERS = timedelta(days=4), timedelta(days=70)",
            "SETTLING, OTHERS = timedelta(days=9), timedelta(days=70)",
        ),
        ("return needed if is_late or needed >= 1 else 0.0", "return 0.0"),
        ("key=lambda day: (-days[day].age(now), day)", "key=lambda day: day"),
        ("SHARE_OF_SETTLING = 0.75", "SHARE_OF_SETTLING = 1.0"),
        ("if left <= 0:", "if False:"),
        ("is_late = is_late or left <= timedelta(0)", "is_late = False"),
    ),
    *_of(
        "late_changes/due.py",
        _PLANS,
        ("(today - day).days <= reread_days", "(today - day).days < reread_days"),
        ("if day < today and (", "if ("),
        ("age >= timedelta(days=sweep_days)", "age > timedelta(days=2 * sweep_days)"),
        ("if len(days) == 1:", "if False:"),
    ),
    *_of(
        "late_changes/asking.py",
        _POLLS,
        ("found.began_at - overlap)", "found.began_at + overlap)"),
        ("_loads_since_the_last_poll(self._database)]) - overlap", "_loads_since_the_last_poll(self._database)])"),
    ),
    *_of(
        "late_changes/poll.py",
        _POLLS,
        ("for day in gaps.days if day not in in_flight]", "for day in gaps.too_large if day not in in_flight]"),
        ("        mark(cursor, found.stale)\n", ""),
    ),
    *_of(
        "late_changes/reread.py",
        _POLLS,
        ("found.held |= wanted - {one.day for one in stale}", "found.held |= wanted"),
        ("items() if order_id not in came}", "items() if order_id in came}"),
    ),
    *_of(
        "history/proving.py",
        _PROVING,
        ("if 2 * lost > had:", "if lost > had:"),
        ("if had and not came.orders:", "if False:"),
        ("waited >= AGAIN_AFTER and began", "began"),
        ("began.astimezone(zone).date() > first_day", "True"),
        ("and all(came.day - weeks in busy", "and any(came.day - weeks in busy"),
        ("before.state == UNPROVED and before.fingerprint == came.fingerprint", "before.state == UNPROVED"),
        ("(proof.state == UNPROVED and proof.day not in written)", "proof.state == UNPROVED"),
    ),
    *_of(
        "marts/daily_reconciliation.sql",
        _RECONCILIATION,
        ("sum(abs(raw_orders - clean_orders - quarantined_orders - excluded_orders))", "sum(0 * raw_orders)"),
        ("sum(abs(raw_money - clean_money - quarantined_money - excluded_money))", "sum(0 * raw_money)"),
        ("abs(order_total - (gross_sales - discounts", "abs(0 * order_total - 0 * (gross_sales - discounts"),
        ("coalesce(placed.gross_sales, 0) - coalesce(lines.gross_sales, 0)", "0"),
        ("abs(coalesce(placed.kept, 0) - coalesce(ledger_of_orders.added_up, 0))", "0"),
        ("abs(coalesce(revenue.gross_sales, 0) - coalesce(ledger_of_events.gross_sales, 0))", "0"),
        ("abs(coalesce(revenue.gross_sales, 0) - coalesce(products.gross_sales, 0))", "0"),
        ("sum(abs(coalesce(current_numbers.value, 0) - coalesce(reported.value, 0)))", "sum(0 * reported.value)"),
    ),
    *_of(
        "orchestration/checks/stored.py",
        _RECONCILIATION,
        ("sum(abs(difference))", "sum(difference)"),
        ('passed=found["cases"] == 0', "passed=True"),
        ("if day not in waiting)", "if day in waiting)"),
    ),
)
