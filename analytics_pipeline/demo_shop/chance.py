"""Chance, drawn from a seeded generator."""

from random import Random


def happens(rng: Random, share: float) -> bool:
    """Whether something happens that happens in this share of cases."""
    return rng.random() < share
