"""Fields of records: which there are, which of them a description reads, and how both drift.

Where profiles are kept is `history.fields`.
"""
