"""Names of the jobs, for rooms that know no Dagster: alerts, messages, the command line."""

DAILY, LATE_CHANGES, CHANGED_ORDERS, REPLAY_QUARANTINE = "daily", "late_changes", "changed_orders", "replay_quarantine"
ALL_SHOPS = "all_shops"
"""Of marts over all shops, which is no shop's own."""
OF_A_LAYER = ("raw", "clean", "marts")
JOBS = (DAILY, LATE_CHANGES, CHANGED_ORDERS, REPLAY_QUARANTINE, *OF_A_LAYER)
"""Of each shop; one with a namespace puts it before the names."""
