"""Calls of shops, without a server."""
