"""What the code location holds, to the last check: a change here is meant, or it is a mistake."""

import dagster as dg

LISTING = """
clean/customers clean whole
clean/order_lines clean daily
clean/orders clean daily
clean/products clean whole
clean/sales clean daily
marts/daily_product_sales marts daily
marts/daily_reconciliation marts daily
marts/daily_revenue marts daily
marts/daily_revenue_as_closed marts whole
marts/daily_witness marts daily
ops/accounting ops daily
ops/anomalies ops daily
ops/blocked_orders history whole
ops/cancellations_seen history whole
ops/code_versions history whole
ops/day_proofs history whole
ops/deleted_orders history whole
ops/error_excerpts history whole
ops/exclusions ops daily
ops/extractions history whole
ops/field_changes history whole
ops/fields history whole
ops/held_back_sales history whole
ops/incidents history whole
ops/installation history whole
ops/materialised_days history whole
ops/order_changes history whole
ops/polls history whole
ops/product_pages history whole
ops/publications history whole
ops/quarantine ops daily
ops/related_proofs history whole
ops/replaced_orders history whole
ops/restatements history whole
ops/shop_reports ops daily
ops/stale_days history whole
ops/undated_orders history whole
ops/webhook_calls history whole
ops/webhook_refusals history whole
raw/customers raw whole
raw/orders raw daily
raw/products raw whole
job changed_orders: clean marts ops raw
job clean: clean ops
job daily: clean marts ops raw
job late_changes: clean marts ops raw
job marts: marts ops
job raw: ops raw
job replay_quarantine:
schedule daily: daily at 0 4 * * * Europe/Berlin RUNNING
sensor alerts: every 60 s RUNNING
sensor late_changes: every 900 s RUNNING
sensor webhooks: every 5 s RUNNING
sensor yesterday_is_on_time: every 300 s RUNNING
"""
CHECKS = """
clean/customers: all_values_are_readable (warns), keys_are_unique, rows_fit_the_contract
clean/order_lines: keys_are_unique, order_lines_add_up_to_their_orders, products_are_known (warns), \
rows_fit_the_contract
clean/orders: a_customer_id_stands_for_one_customer (warns), customers_are_known (warns), \
every_raw_order_is_in_exactly_one_place, keys_are_unique, \
order_totals_equal_their_parts, raw_orders_are_clean_quarantined_or_excluded, rows_fit_the_contract
clean/products: all_values_are_readable (warns), keys_are_unique, rows_fit_the_contract
clean/sales: keys_are_unique, net_sales_equal_gross_sales_less_discounts_and_returns, rows_fit_the_contract, \
the_ledger_adds_up_to_the_orders
marts/daily_product_sales: daily_product_sales_equal_the_ledger
marts/daily_reconciliation: history_equals_what_was_reported_and_restated, \
raw_money_equals_clean_quarantined_and_excluded, the_shops_count_equals_raw
marts/daily_revenue: daily_product_sales_equal_daily_revenue, daily_revenue_equals_the_ledger, \
daily_revenue_has_every_day, the_ledger_is_all_days_and_what_lies_outside (warns), \
yesterday_is_on_time (warns)
marts/daily_witness: the_shops_report_equals_ours (warns)
ops/accounting: keys_are_unique, rows_fit_the_contract
ops/anomalies: figures_are_as_expected (warns), keys_are_unique, rows_fit_the_contract
ops/exclusions: keys_are_unique, rows_fit_the_contract
ops/quarantine: keys_are_unique, quarantine_holds_little_of_a_day (warns), quarantine_is_rare (warns), \
quarantine_stays_below_the_limit, rows_fit_the_contract
ops/shop_reports: keys_are_unique, rows_fit_the_contract, the_shops_report_was_read (warns)
raw/customers: all_records_are_readable (warns), \
extracted_records_equal_the_shops_count (warns), fields_are_the_known_ones (warns), \
mapped_paths_are_found (warns), rows_fit_the_contract
raw/orders: all_records_are_readable (warns), days_are_made_by_the_same_rules (warns), every_day_is_proved (warns), \
extracted_records_equal_the_shops_count, fields_are_the_known_ones (warns), \
mapped_paths_are_found (warns), rows_fit_the_contract
raw/products: all_records_are_readable (warns), \
extracted_records_equal_the_shops_count (warns), fields_are_the_known_ones (warns), \
mapped_paths_are_found (warns), rows_fit_the_contract
"""


def listing(definitions: dg.Definitions) -> list[str]:
    graph = definitions.resolve_asset_graph()
    lines = []
    for spec in sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key.to_user_string()):
        kind = "daily" if isinstance(spec.partitions_def, dg.DailyPartitionsDefinition) else "whole"
        lines.append(f"{spec.key.to_user_string()} {spec.group_name} {kind}")
    for job in sorted(definitions.resolve_all_job_defs(), key=lambda job: job.name):
        if not job.name.startswith("__"):
            groups = {graph.get(key).group_name for key in job.asset_layer.executable_asset_keys}
            lines.append(f"job {job.name}: {' '.join(sorted(groups))}".rstrip())
    schedule = definitions.resolve_schedule_def("daily")
    when = f"{schedule.cron_schedule} {schedule.execution_timezone} {schedule.default_status.name}"
    lines.append(f"schedule {schedule.name}: {schedule.job_name} at {when}")
    sensors = sorted(definitions.sensors or [], key=lambda sensor: sensor.name)
    return [
        *lines,
        *(f"sensor {one.name}: every {one.minimum_interval_seconds} s {one.default_status.name}" for one in sensors),
    ]


def check_listing(definitions: dg.Definitions) -> list[str]:
    graph = definitions.resolve_asset_graph()
    checks: dict[str, list[str]] = {}
    for key in graph.asset_check_keys:
        messages = key.name if graph.get_check_spec(key).blocking else f"{key.name} (warns)"
        checks.setdefault(key.asset_key.to_user_string(), []).append(messages)
    return [f"{asset}: {', '.join(sorted(names))}" for asset, names in sorted(checks.items())]


def test_assets_jobs_and_schedules_are_these(definitions: dg.Definitions) -> None:
    assert listing(definitions) == LISTING.strip().splitlines()


def test_the_checks_are_exactly_these(definitions: dg.Definitions) -> None:
    assert check_listing(definitions) == CHECKS.strip().splitlines()


def test_every_check_says_what_it_asserts(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    texts = {key: graph.get_check_spec(key).description or "" for key in graph.asset_check_keys}

    assert [key for key, text in texts.items() if len(text) < 20 or not text.rstrip().endswith((".", "write"))] == []


def test_runs_are_executed_in_their_process(definitions: dg.Definitions) -> None:
    assert definitions.resolve_job_def("daily").executor_def.name == "in_process"
