"""Money that goes back without having come, and days of which all orders are in quarantine."""

from analytics_pipeline_tests.cases.small_shop import Case, Record, order

LEDGER = "select coalesce(sum(total_sales), 0)::numeric(19,2)::text as money from clean.sales"
HELD = (
    "select order_id, kind, event_id, reason, money_at_risk::numeric(19,2)::text as money from ops.quarantine "
    "order by order_id, kind, event_id"
)


def refund(refund_id: str | None, moment: str, amount: str) -> Record:
    return {"id": refund_id, "created_at": moment, "adjustment": amount}


def test_C29_refunds_of_1900_and_2999_are_in_quarantine_and_the_sale_stays(case: Case) -> None:  # noqa: N802
    case.shop.orders[:] = [order("O1", "2026-11-20", "190.00")]
    case.run("2026-11-20", "2026-11-22")
    changed = {"updated_at": "2026-11-23T12:00:00+01:00"}
    refunds = [refund("A", "1900-01-01T00:00:00Z", "9.50"), refund("B", "2999-12-31T00:00:00Z", "19.00")]
    case.shop.orders[:] = [order("O1", "2026-11-20", "190.00", refunds=refunds, **changed)]
    assert [summary.succeeded for summary in case.catch_up()] == [True]
    assert case.rows(LEDGER) == [{"money": "190.00"}]
    assert sum(map(float, case.revenue("total_sales").values())) == 190
    assert case.rows(HELD) == [
        {"order_id": "O1", "kind": "refund", "event_id": "A", "reason": "before its order", "money": "9.50"},
        {"order_id": "O1", "kind": "refund", "event_id": "B", "reason": "in the future", "money": "19.00"},
    ]
    assert case.rows("select order_id, has_quarantined_events from clean.orders") == [
        {"order_id": "O1", "has_quarantined_events": True}
    ]
    adds_up = case.rows(
        "select sum(unexplained_difference)::numeric(19,2)::text as money from marts.daily_reconciliation"
    )
    assert adds_up == [{"money": "0.00"}]
