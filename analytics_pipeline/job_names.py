"""Names of the jobs, for rooms that know no Dagster: alerts, messages, the command line."""

DAILY, LATE_CHANGES, REPLAY_QUARANTINE = "daily", "late_changes", "replay_quarantine"
