"""What proves a day: the shop's count, the same answer on another day, and what happens where neither does."""

from analytics_pipeline_tests.cases.small_shop import Case


def test_each_day_of_a_range_says_what_it_was_held_against_the_shop_by(case: Case) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    assert case.run("2026-11-23").succeeded
    rows = case.rows(
        "select day::text, state, basis, orders, source_count, held_at = read_at as of_the_reading "
        "from ops.day_proofs join ops.materialised_days using (day) where table_name = 'raw.orders' order by day"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2026-11-20", "proved", "count", 1, None, True),
        ("2026-11-21", "proved", "count", 1, None, True),
        ("2026-11-22", "proved", "count", 1, None, True),
        ("2026-11-23", "proved", "count", 0, 0, True),
    ]
