"""The demo shop's own daily report, made of its records: what its merchant sees, by the shop's own definitions.

It is a witness for the pipeline, so it shares nothing with `truth`; how orders look as JSON matters to neither.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from analytics_pipeline.demo_shop.days import business_day
from analytics_pipeline.demo_shop.model import CENT, FINE, ZERO, Order, line_money
from analytics_pipeline.demo_shop.settings import DemoShopSettings

MOST_DAYS = 31
_MONEY = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "total_sales")


def daily_report(orders: Iterable[Order], first: date, last: date, settings: DemoShopSettings) -> list[dict[str, Any]]:
    """Return a row for each day and currency; the shop's currency has one for every day.

    Args:
        orders: The orders of these days, and earlier ones of which something may have been given back on them.
        first: The first day.
        last: The last day, included.
        settings: The shop, with the report's definitions.
    """
    days = _Days(first, last, settings)
    for order in orders:
        if order.is_test and not settings.report_counts_tests:
            continue
        if order.cancelled_at and settings.report_leaves_out_cancelled:
            continue
        days.add(order)
    return days.rows()


class _Days:
    """Sums by day and currency."""

    def __init__(self, first: date, last: date, settings: DemoShopSettings) -> None:
        self._first, self._last, self._settings = first, last, settings
        number = (last - first).days + 1
        self._sums: dict[tuple[date, str], dict[str, Decimal]] = {
            (first + timedelta(days=more), settings.currency): {} for more in range(number)
        }

    def add(self, order: Order) -> None:
        """Count an order on its day, and what was given back on the day of the report's choice."""
        zone = self._settings.zone
        placed = business_day(order.created_at, zone)
        moments = [refund.refunded_at for refund in order.refunds]
        moments += [order.cancelled_at] if order.cancelled_at else []
        days = [business_day(moment, zone) for moment in moments]
        if self._settings.report_returns_on == "order_day":
            days = [placed] * len(days)
        if not any(self._first <= day <= self._last for day in (placed, *days)):
            return
        sold = self._sold(order)
        self._count(placed, order.currency, sold)
        left = {name: sold[name] for name in ("net", "shipping", "taxes")}
        for refund, day in zip(order.refunds, days, strict=False):
            freight = refund.shipping - (refund.shipping_tax if order.prices_include_tax else ZERO)
            goods = sum((line.amount for line in refund.lines), refund.adjustment)
            taxes = sum((line.tax for line in refund.lines), refund.shipping_tax)
            self._count(day, order.currency, {"returns": goods, "shipping": -freight, "taxes": -taxes})
            left = {"net": left["net"] - goods, "shipping": left["shipping"] - freight, "taxes": left["taxes"] - taxes}
        if order.cancelled_at:
            back = {"returns": left["net"], "shipping": -left["shipping"], "taxes": -left["taxes"]}
            self._count(days[-1], order.currency, back)

    def _sold(self, order: Order) -> dict[str, Decimal]:
        lines = line_money(order)
        gross = sum((line.gross for line in lines), ZERO)
        discounts = sum((line.discounts for line in lines), ZERO)
        is_counted = bool(gross) or self._settings.report_counts_zero_orders
        return {
            "orders": Decimal(is_counted),
            "units_sold": Decimal(
                sum(line.quantity for line, money in zip(order.lines, lines, strict=True) if money.gross)
            ),
            "gross_sales": gross,
            "discounts": discounts,
            "net": gross - discounts,
            "shipping": order.shipping - (order.shipping_tax if order.prices_include_tax else ZERO),
            "taxes": sum((line.tax for line in order.lines), order.shipping_tax),
        }

    def _count(self, day: date, currency: str, amounts: dict[str, Decimal]) -> None:
        if self._first <= day <= self._last:
            sums = self._sums.setdefault((day, currency), {})
            for name, amount in amounts.items():
                sums[name] = sums.get(name, ZERO) + amount

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows, by day and currency."""
        return [_row(day, currency, sums) for (day, currency), sums in sorted(self._sums.items())]


def _row(day: date, currency: str, sums: dict[str, Decimal]) -> dict[str, Any]:
    found = {name: sums.get(name, ZERO) for name in ("gross_sales", "discounts", "returns", "shipping", "taxes")}
    found["net_sales"] = found["gross_sales"] - found["discounts"] - found["returns"]
    found["total_sales"] = found["net_sales"] + found["shipping"] + found["taxes"]
    return {
        "date": day.isoformat(),
        "currency": currency,
        "orders": int(sums.get("orders", ZERO)),
        "units_sold": int(sums.get("units_sold", ZERO)),
        **{name: _money(found[name]) for name in _MONEY},
    }


def _money(amount: Decimal) -> str:
    """Show an amount in cents; shops whose prices include tax have fractions of them."""
    return str(amount.quantize(CENT if amount == amount.quantize(CENT) else FINE))
