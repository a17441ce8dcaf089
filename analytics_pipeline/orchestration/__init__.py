"""The wing for Dagster: assets, checks, jobs, schedules, sensors, resources and the IO manager.

All that imports dagster lies here, but for the assembly (`definitions`) and the command line; what can be said without
Dagster lies in a room below.
"""
