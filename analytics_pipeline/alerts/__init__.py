"""Alerts: what goes wrong becomes an incident, and an incident becomes one message when it begins and one when it ends.

`facts` reads what is, `incidents` decides, `record` keeps, `sending` sends, and `evaluate` calls them in this order.
"""
