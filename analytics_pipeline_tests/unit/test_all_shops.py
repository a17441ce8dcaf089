"""Several shops as pure functions: the incident of marts over all of them, their runs, and who is asked twice."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from analytics_pipeline.alerts.all_shops import AllShops, decide_of_all_shops, open_failure
from analytics_pipeline.alerts.incidents import Incident, Run
from analytics_pipeline.alerts.messages import message_of
from analytics_pipeline.days import Days
from analytics_pipeline.orchestration.all_shops import as_runs
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.shop.twins import same_tables, twins_of
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION

T0 = datetime(2026, 11, 25, 3, tzinfo=UTC)
FIRST = date(2026, 11, 1)


def days(first: int, last: int) -> Days:
    """Days of November 2026."""
    return Days(FIRST + timedelta(days=first - 1), FIRST + timedelta(days=last - 1))


def run(run_id: str, hour: int, of: Days | None, *, ok: bool) -> Run:
    return Run(run_id, "all_shops", of, ok, T0 + hour * timedelta(hours=1))


FAILED = run("a", 0, days(1, 9), ok=False)


@pytest.mark.parametrize(
    ("later", "stale", "open_run"),
    [
        ([], days(1, 9), "a"),
        ([], days(9, 9), "a"),
        ([], [], None),  # nothing is left to be computed, as after the mart's file has gone
        ([run("b", 1, days(1, 9), ok=True)], days(1, 9), None),  # which a shop has written again since
        ([run("b", 1, days(1, 8), ok=True)], days(1, 9), "a"),
        ([run("b", 1, None, ok=True)], days(1, 9), None),
        ([run("b", 1, days(1, 9), ok=False)], days(1, 9), "b"),
        ([run("b", 1, None, ok=False)], [], "b"),
    ],
)
def test_a_failed_run_of_marts_over_all_shops_is_open_while_days_of_it_are_left(
    later: list[Run], stale: Days | list[date], open_run: str | None
) -> None:
    found = open_failure([FAILED, *later], [*stale])
    assert (found.run_id if found else None) == open_run


def test_it_is_one_incident_however_often_it_fails_and_is_over_with_the_failure() -> None:
    first = decide_of_all_shops(FAILED, {"a": ("no room",)}, [])
    [trouble] = first.opened
    known = Incident(trouble.key, trouble.kind, trouble.subject, trouble.since, trouble.text, trouble.run_id)
    again = decide_of_all_shops(run("b", 1, days(1, 10), ok=False), {}, [known])

    assert "all_shops of 2026-11-01 to 2026-11-09" in trouble.text
    assert "- no room" in trouble.text
    assert message_of(known, "opened", AllShops(), "http://ui").title.startswith(
        "[all shops] run failed: all_shops of "
    )
    assert decide_of_all_shops(FAILED, {}, [known]).changed == ()
    assert ([one.run_id for one in again.changed], again.opened, again.closed) == (["b"], (), ())
    assert decide_of_all_shops(None, {}, [known]).closed == (known,)


def test_many_single_days_are_computed_by_few_runs() -> None:
    every_other = [FIRST + timedelta(days=2 * number) for number in range(400)]

    found = as_runs(every_other)

    assert [len(part) for part in found] == [365, 365, 67]
    assert {*every_other} <= {day for part in found for day in part}
    assert as_runs([]) == []


DEMO = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8"))
TOKEN = {"type": "bearer", "token": "${DE_TOKEN}"}
OTHER_TOKEN = {"type": "bearer", "token": "${US_TOKEN}"}
ONE_TOKEN = {"URL": "https://shop.example", "DE_TOKEN": "s3cret", "US_TOKEN": "s3cret"}
OTHER_LIST = {**DEMO["orders"], "params": {**DEMO["orders"].get("params", {}), "store": "2"}}


def shop(folder: Path, name: str, **changes: object) -> Shop:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**DEMO, "name": name, "base_url": "${URL}", **changes}), encoding="utf-8")
    return load_shop(path)


@pytest.mark.parametrize(
    ("changes", "environment", "said"),
    [
        ({}, {}, "us reads the same orders"),
        ({"base_url": "https://shop.example/"}, {"URL": "https://shop.example"}, "us reads the same orders"),
        ({"auth": OTHER_TOKEN}, ONE_TOKEN, "us reads the same orders"),
        ({"auth": OTHER_TOKEN}, ONE_TOKEN | {"US_TOKEN": "another"}, None),
        ({"auth": OTHER_TOKEN}, {}, None),
        ({"base_url": "https://other.example"}, {}, None),
        ({"headers": {"X-Store": "2"}}, {}, None),
        ({"orders": OTHER_LIST}, {}, "us asks the same address with the same credentials"),
    ],
)
def test_shops_that_are_asked_for_the_same_are_named_and_no_secret_is(
    tmp_path: Path, changes: dict[str, object], environment: dict[str, str], said: str | None
) -> None:
    german = shop(tmp_path, "de", auth=TOKEN)
    american = shop(tmp_path, "us", **{"auth": TOKEN, **changes})

    found = "; ".join(twins_of(german, [german, american], environment))

    assert found.startswith(said) if said else found == ""
    assert "s3cret" not in found


def test_shops_that_would_write_the_same_tables_are_named_with_the_remedy(tmp_path: Path) -> None:
    first, second, third = (shop(tmp_path, name, namespace=None) for name in ("a", "b", "c"))
    third = third.model_copy(update={"namespace": "c"})

    assert [said.split(",")[0] for said in same_tables(first, [first, second, third])] == [
        "b has no `namespace:` either"
    ]
    assert same_tables(third, [first, second, third]) == []


def test_of_several_shops_each_knows_what_lies_beside_it_and_that_it_is_not_alone(tmp_path: Path) -> None:
    for name in ("shops/de", "shops/us", "home/demo_shops/demo-us", "home/from-file/x/shops/x"):
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    variables = {"ANALYTICS_HOME": str(tmp_path / "home"), "ANALYTICS_PROJECT": str(tmp_path)}
    both, one = Settings.from_environment(variables), Settings.from_environment({**variables, "ANALYTICS_SHOP": "us"})

    def names(references: tuple[str, ...]) -> list[str]:
        return [Path(reference).stem for reference in references]

    assert [each.is_alone for each in both.each()] == [False, False]
    assert [each.is_alone for each in one.each()] == [True]
    assert names(both.beside) == ["de", "us"]
    assert names(one.beside) == ["us", "de"]
    assert names(both.described) == ["de", "us", "demo", "demo-us", "x"]
