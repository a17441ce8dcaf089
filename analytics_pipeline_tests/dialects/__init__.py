"""Shops that speak the protocols of real platforms over the demo shop's orders: same shop, same truth, other protocol.

One module a dialect; `base` serves them and knows what they share, `charges` adds what the demo shop does not have.
A dialect reads the demo shop's model alone, and reports from the records that it serves itself. Numbers, names, paging,
filters, limits and errors are those that the platform documents.
"""
