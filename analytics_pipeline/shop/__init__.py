"""The description of a shop: its models, reading it with line numbers, references to secrets, the packaged ones.

Nothing here asks a shop; that is `sources`.
"""
