"""Days whose figures are not as earlier days let expect, and what makes the difference.

`metrics` are the figures, `expectation` judges a series of numbers, `figures` reads the series from the tables,
`explanation` finds the segment that carries a difference among the rows that `segments` reads, `suspicion` asks whether
the pipeline made it, and `judging` puts these together.
"""
