"""Late changes: finding out what the shop changed in orders whose business day has been loaded.

`poll` asks the shop and puts stale days on the list; `affected` and `due` decide, as pure functions. What is loaded
again and when is `history.stale`'s part, who starts it the sensor's or the command line's. Nothing here imports
dagster.
"""
