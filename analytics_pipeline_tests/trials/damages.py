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


def _of(path: str, tests: tuple[str, ...], *changes: tuple[str, str]) -> tuple[Damage, ...]:
    return tuple(Damage(f"analytics_pipeline/{path}", old, new, tests) for old, new in changes)


DAMAGES: tuple[Damage, ...] = (
    *_of(
        "alerts/incidents.py",
        _INCIDENTS,
        ("LOOKS_MISSED = 4", "LOOKS_MISSED = 400"),
        ("SHORTEST_SILENCE = timedelta(hours=1)", "SHORTEST_SILENCE = timedelta(0)"),
        ("for key, trouble in now_wrong.items() if key not in known)", "for key, trouble in now_wrong.items())"),
        ("trouble.run_id != known[key].run_id", "trouble.run_id == known[key].run_id"),
        ("if key not in now_wrong and not _is_out_of_sight", "if key not in now_wrong or not _is_out_of_sight"),
        ("key=lambda run: run.ended_at, reverse=True", "key=lambda run: run.ended_at"),
        ("now - incident.last_sent_at >= repeat_after", "now - incident.last_sent_at > 2 * repeat_after"),
        ("incident.over_told_at is not None and now -", "incident.over_told_at is None or now -"),
        ('return "opened" if incident.sends <= 1', 'return "opened" if incident.sends <= 2'),
        ("if check.run_id not in told_by_runs or", "if True or"),
        ("run.succeeded and run.ended_at > since and", "run.succeeded and"),
        ("and run.job in WHOLE_JOBS | {job}]", "]"),
        ("not run.days.first <= day <= run.days.last", "not run.days.first <= day"),
    ),
    *_of(
        "database/slices.py",
        _SLICES,
        ("between date '{self.first}' and date '{self.last}'", "between date '{self.last}' and date '{self.last}'"),
        ('return "(" + " or ".join', 'return "(" + " and ".join'),
        ("        take_turns(cursor, table.qualified_name)\n        key_statements", "        key_statements"),
        ("            before_commit()\n", ""),
        ('(f" where {part.where(table)}" if part else "")', '""'),
        ("where {column} in (select {column} from {staged})", "where false"),
        ("where changed_at <= extracted_at", "where true"),
        ("set transaction isolation level read committed", "set transaction isolation level repeatable read"),
    ),
)
