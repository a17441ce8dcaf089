"""What `run --plan` says, and how a run came out beside it. Each shop's last plan is kept in the state folder."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from analytics_pipeline.days import Days
from analytics_pipeline.plain import counted
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import PageProducts, Shop
from analytics_pipeline.sources.calls import CallPlan, ListCalls, plan_calls
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.opening import open_directly

MINUTE = 60


def tell_plan(settings: Settings, shop: Shop, days: Days) -> None:
    """Ask the shop what reading some days takes, say so, and keep it for the run of the same days."""
    if shop.is_of_files:
        with open_directly(shop) as source:
            found = source.check()
        click.echo(f"{'; '.join([found.summary, *found.notes])}. Files are read once, and no request is made.")
        return
    with ShopClient(shop) as client:
        plan = plan_calls(client, days.first, days.last)
        asked = client.statistics.requests
    for line in _lines(plan, days):
        click.echo(line)
    if isinstance(shop.products, PageProducts):
        pages = shop.products.pages
        least = f"{pages.pages_per_run / pages.per_second / MINUTE:.1f} minutes"
        click.echo(f"Beside it {pages.pages_per_run} product pages at most, {least} at {pages.per_second:g} a second")
    click.echo(f"Asked for this: {counted(asked, 'request')}. Nothing was written.")
    settings.home.mkdir(parents=True, exist_ok=True)
    kept = {"days": _key(days), "shop": settings.shop, "calls": plan.calls, "seconds": plan.seconds}
    _kept(settings).write_text(json.dumps(kept), encoding="utf-8")


def compare_with_plan(settings: Settings, days: Days, requests: Mapping[str, int], seconds: float) -> str | None:
    """Say how many requests a run made, beside its plan if there is one; None for a run that asked for nothing."""
    if not requests:
        return None
    made = f"{counted(sum(requests.values()), 'request')} to the shop"
    plan: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        plan = json.loads(_kept(settings).read_text(encoding="utf-8"))
    if plan.get("days") != _key(days) or plan.get("shop") != settings.shop:
        return made
    planned = f"planned: {plan['calls']}, {_time(plan['seconds'])} for the requests alone"
    return f"{made} in {_time(seconds)} with all that follows ({planned})"


def _lines(plan: CallPlan, days: Days) -> Iterator[str]:
    for one in plan.lists:
        yield f"{one.name:10} {_describe(one)}"
    least = "" if plan.is_whole else "at least "
    yield (
        f"{days}: {least}{counted(plan.calls, 'request')}, {least}{_time(plan.seconds)} at "
        f"{plan.seconds_a_call:.2f} s each (loads of changes alone take fewer for customers and products)"
    )


def _describe(one: ListCalls) -> str:
    calls = counted(one.calls, "request")
    if one.records is None:
        return f"at least {calls}: the shop gives no count, {counted(one.page, 'record')} on the first page"
    return f"{calls} for {counted(one.records, 'record')}, {one.page} on the first page"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < MINUTE else f"{seconds / MINUTE:.1f} minutes"


def _kept(settings: Settings) -> Path:
    return settings.home / f"call_plan_{settings.names[0]}.json"


def _key(days: Days) -> list[str]:
    return [days.first.isoformat(), days.last.isoformat()]
