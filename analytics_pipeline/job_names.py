"""Names of the jobs, for rooms that know no Dagster: alerts, messages, the command line."""

DAILY, LATE_CHANGES, CHANGED_ORDERS, REPLAY_QUARANTINE = "daily", "late_changes", "changed_orders", "replay_quarantine"
