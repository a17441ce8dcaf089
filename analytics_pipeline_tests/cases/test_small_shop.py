"""The small shop itself: what every case begins with is right before anything is bent."""

from analytics_pipeline_tests.cases.small_shop import Case


def test_three_orders_of_ten_euros_are_three_days_of_ten_euros(case: Case) -> None:
    summary = case.run("2026-11-20", "2026-11-22")
    assert summary.succeeded, summary.failures
    assert case.revenue() == {"2026-11-20": "10.00", "2026-11-21": "10.00", "2026-11-22": "10.00"}
    found = case.poll()
    assert found is not None
    assert not found.stale
