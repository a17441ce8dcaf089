"""Alerts: what goes wrong becomes an incident, and an incident becomes one message when it begins and one when it ends.

`incidents` decides, `record` keeps, `sending` sends. The facts are read, and these called, by the wing for Dagster.
"""
