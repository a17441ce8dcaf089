"""What `status` says of the proof of days: what they were held against, and which are in doubt."""

from collections.abc import Iterator

from analytics_pipeline.days import Days
from analytics_pipeline.history.proofs import (
    COUNT,
    FILES,
    PROVED,
    REFUSED,
    REPEAT,
    DayProof,
    read_proofs,
    related_in_doubt,
)
from analytics_pipeline.history.proving import NO_COUNT
from analytics_pipeline.shop.spec import Orders, Shop
from analytics_pipeline.warehouse.connection import Database

MOST_SHOWN = 5


def proof_lines(database: Database, shop: Shop) -> Iterator[str]:
    """Yield the lines of `status`; the tables of the history are there."""
    proofs = list(read_proofs(database).values())
    proved = [proof for proof in proofs if proof.state == PROVED]
    counted = [proof for proof in proved if proof.basis == COUNT]
    repeated = [proof for proof in proved if proof.basis == REPEAT]
    uncounted = [proof for proof in proofs if proof.state != REFUSED and proof.basis not in {COUNT, FILES}]
    of_files = [proof for proof in proved if proof.basis == FILES]
    parts = [f"{len(counted)} of {len(proofs)} days held against the shop's count"]
    if shop.is_of_files:
        parts = [f"{len(of_files)} of {len(proofs)} days have all that files have of them"]
    if uncounted:
        faults = sorted({proof.reason for proof in uncounted if proof.basis != REPEAT and proof.reason})
        is_described = isinstance(shop.orders, Orders) and shop.orders.count_place is not None
        why = faults[-1] if is_described and faults else NO_COUNT
        why = "no file has rows of them" if shop.is_of_files else why
        parts.append(f"{len(uncounted)} not compared ({why})")
    if repeated:
        parts.append(f"{len(repeated)} believed since the same came again on another day")
    yield f"proof        {'; '.join(parts) if proofs else 'no day was held against the shop yet'}"
    for state in ("unproved", "refused"):
        found = [proof for proof in proofs if proof.state == state]
        yield from (_line(proof, shop) for proof in found[-MOST_SHOWN:])
        if len(found) > MOST_SHOWN:
            others = Days.of(proof.day for proof in found[:-MOST_SHOWN]).ranges
            yield f"             {state} too: {', '.join(map(str, others))}"
    yield from related_lines(database, shop)


def related_lines(database: Database, shop: Shop) -> Iterator[str]:
    """Yield a line for each list that belongs to orders and has days in doubt, with the newest one."""
    for name, proofs in related_in_doubt(database).items():
        ranges = Days.of(proof.day for proof in proofs).ranges
        yield f"             {name}: {len(proofs)} days in doubt, such as {', '.join(map(str, ranges[-MOST_SHOWN:]))}"
        yield _line(proofs[-1], shop)


def _line(proof: DayProof, shop: Shop) -> str:
    again = "" if proof.again_at is None else f"; again from {proof.again_at.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}"
    return f"             {proof.state.upper()} {proof.day}: {proof.reason}{again}"
