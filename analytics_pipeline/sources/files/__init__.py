"""Files as a source: finding them, opening them under caps, and reading their rows a chunk at a time.

What the rows mean, where they are kept and which days they make is not known here; how they are described is in
shop/reading.py.
"""
