"""Calls by which a shop says that orders have changed: checked, stored, turned into stale days. No figure is theirs."""
