"""Rows on their way into Postgres by binary `COPY`: encoded piece by piece, and sent meanwhile.

Which rows are written, where, and in which transaction is `slices`' part; what the bytes are, `binary`'s.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa

from analytics_pipeline.warehouse.binary import Bytes, encode
from analytics_pipeline.warehouse.drivers import Connection

SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END = b"\xff\xff"
ROWS_AT_A_TIME = 20_000
BYTES_AT_A_TIME = 2_000_000
"""How much is encoded at once: enough for arithmetic on arrays, little enough for the processor's cache."""


def copy_rows(cursor: Connection, name: str, rows: pa.Table | pa.RecordBatchReader) -> int:
    """Add rows to a table in the caller's transaction; returns how many.

    One piece is encoded while the one before it is sent.

    Args:
        cursor: In the transaction.
        name: The table's name, which has the columns of the rows, each of the type that belongs to the Arrow type.
        rows: New rows; an exception out of the stream undoes the copy and leaves the transaction to be rolled back.

    Raises:
        TypeError: A column has an Arrow type that no column in Postgres has.
        ContractError: A day or a stamp lies where Postgres has no time.
    """
    columns = ", ".join(f'"{column}"' for column in rows.schema.names)
    failure: BaseException | None = None
    with suppress(_StoppedError), cursor.copy(f"copy {name} ({columns}) from stdin (format binary)") as copy:
        try:
            with ThreadPoolExecutor(1) as ahead:
                copy.write(SIGNATURE)
                waiting: Future[Bytes] | None = None
                for piece in _pieces(rows):
                    following = ahead.submit(encode, piece)
                    if waiting is not None:
                        copy.write(waiting.result().data)
                    waiting = following
                if waiting is not None:
                    copy.write(waiting.result().data)
                copy.write(END)
        except BaseException as error:  # noqa: BLE001 - raised again below
            # psycopg reports the server the exception that ends a copy, and the server's log would quote it.
            failure = error
            raise _StoppedError from None
    if failure is not None:
        raise failure
    return int(cursor.rowcount)


class _StoppedError(Exception):
    """Ends a copy that is not to count."""


def _pieces(rows: pa.Table | pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
        pieces = max(-(-batch.num_rows // ROWS_AT_A_TIME), -(-batch.nbytes // BYTES_AT_A_TIME))
        step = -(-batch.num_rows // max(pieces, 1))
        for first in range(0, batch.num_rows, max(step, 1)):
            yield batch.slice(first, step)
