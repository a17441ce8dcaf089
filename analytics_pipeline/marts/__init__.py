"""Marts: one SQL file each, and the engine that reads them: type, upstream tables, column lineage.

When a mart is computed is said by `history` and the assets.
"""
