"""The demo shop: its orders, its truth, its API and its faults."""
