"""The tables of a shop that is read from files: which files were seen, what was taken in of them, and their records.

Shapes only. What is taken in stays, whatever becomes of the file: days are loaded from here.
"""

from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, STAMP, TEXT, TEXTS, Column, Table

TAKEN, KNOWN, REFUSED, WAITING = "taken", "known", "refused", "waiting"
ORDERS, CUSTOMERS, PRODUCTS = "orders", "customers", "products"

_LIST = Column("list_name", TEXT, "The list that it belongs to: orders, customers or products.")
_READ_BY = "Hash of what the description says of reading these files."

FILES = Table(
    schema="ops",
    name="files",
    description="Every file that was seen: whether it was taken in, what is in it, and why it was not.",
    columns=(
        _LIST,
        Column("path", TEXT, "Its name in the folder; of a file in a zip, the zip's and its own."),
        Column("outer_path", TEXT, "The name of what lies in the folder: of a file in a zip, the zip's."),
        Column(
            "state",
            TEXT,
            "taken (its records are stored); known (another file had the same content, and nothing was taken); "
            "refused (it cannot be read: what was taken of it before stays); waiting (it is not complete yet).",
        ),
        Column("version", TEXT, "By which a change is seen without reading it."),
        Column("bytes", COUNT, "Its size as it lies there."),
        Column("modified_at", STAMP, "When it was last written."),
        Column("is_there", FLAG, "Whether the last look saw it; what was taken of it stays anyway."),
        Column("file_id", COUNT, "Its records in ops.file_records; null while it has none.", is_nullable=True),
        Column("sha256", TEXT, "Hash of its content, unpacked, as it was taken.", is_nullable=True),
        Column("read_by", TEXT, _READ_BY, is_nullable=True),
        Column("rows", COUNT, "Rows in it, as it was taken: stored + excluded."),
        Column("rows_stored", COUNT, "Rows of it that are stored, those that cannot be read too."),
        Column("rows_unreadable", COUNT, "Those of them that cannot be read as a whole: in quarantine."),
        Column("rows_excluded", COUNT, "Rows that were left out on purpose: totals, repeated headers, blank ones."),
        Column("first_day", DAY, "First business day that its rows have.", is_nullable=True),
        Column("last_day", DAY, "Last business day that its rows have.", is_nullable=True),
        Column("rows_without_day", COUNT, "Rows of it whose business day cannot be read."),
        Column("known_as", TEXT, "Of a known one: the file that brought its content.", is_nullable=True),
        Column("fault", TEXT, "Why it is refused or waits.", is_nullable=True),
        Column("notes", TEXTS, "What is worth a look: rows left out, rows kept that it has no more, doubts."),
        Column("first_seen_at", STAMP, "When it was first seen."),
        Column("changed_at", STAMP, "When this row was last changed."),
        Column("taken_at", STAMP, "When its content was last taken in.", is_nullable=True),
    ),
    key=("list_name", "path"),
)

FILE_CONTENTS = Table(
    schema="ops",
    name="file_contents",
    description="Every content that was ever taken in: under another name it changes nothing.",
    columns=(
        _LIST,
        Column("sha256", TEXT, "Hash of the content, unpacked."),
        Column("path", TEXT, "The file that brought it."),
        Column("file_id", COUNT, "Under which its records were stored."),
        Column("read_by", TEXT, _READ_BY),
        Column("taken_at", STAMP, "When it was taken in."),
    ),
    key=("list_name", "sha256"),
)

FILE_RECORDS = Table(
    schema="ops",
    name="file_records",
    description="What was taken in of files: of orders the rows of one order in one file, else a row. Days are loaded "
    "from here.",
    columns=(
        _LIST,
        Column("file_id", COUNT, "The file's content, as in ops.files."),
        Column("path", TEXT, "The file's name when it was read."),
        Column("modified_at", STAMP, "When the file was last written: of two files with the same record newest wins."),
        Column("line", COUNT, "Line of the file at which the first row begins."),
        Column("record_key", TEXT, "The id that the rows have, else a hash of the row's content.", is_personal=True),
        Column("is_by_content", FLAG, "Whether the key is such a hash: each row is a record of its own then."),
        Column("day", DAY, "Business day of the order; null where it cannot be read.", is_nullable=True),
        Column("rows", COUNT, "How many rows there are."),
        Column("content", COUNT, "Sum of hashes of the rows: another one where they differ."),
        Column("payload", TEXT, "The record that is made of them, as JSON.", is_personal=True),
    ),
    indexes=("list_name, path", "list_name, record_key", "list_name, day"),
)

FILE_LOOKS = Table(
    schema="ops",
    name="file_looks",
    description="When the folder was looked into, and what was found.",
    columns=(
        Column("looked_at", STAMP, "When."),
        Column("files", COUNT, "Files that are there."),
        Column("taken", COUNT, "Files that were taken in, new and changed ones."),
        Column("refused", COUNT, "Files that cannot be read."),
        Column("waiting", COUNT, "Files that are not complete yet."),
        Column("fault", TEXT, "Why the folder could not be looked into.", is_nullable=True),
    ),
    key=(),
    indexes=("looked_at",),
)

FILE_TABLES = (FILES, FILE_CONTENTS, FILE_RECORDS, FILE_LOOKS)
