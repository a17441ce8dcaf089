"""JSON text to values: decoding, field paths, stamps, ids, answers that break the rules of JSON. Pure, and hot.

Knows no shop and no table.
"""
