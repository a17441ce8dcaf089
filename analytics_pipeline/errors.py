"""The project's errors, grouped by what to do about them.

Every error that a user may see derives from `PipelineError` and from exactly one of `TransientError` (try again later),
`PermanentError` (someone must change a setting, a right or a file) and `DataError` (the data break a promise: read
them). Messages name the thing, the place and the remedy, and never a secret. Nor do they quote what came from the shop
or stands in a row: that may be of a person, and messages go to alerts, events and logs. What helps to understand the
fault goes into `excerpt`, which `history.excerpts` keeps. Raising errors belongs to the module that found the fault.
"""

ITS_WORDS = "(its words: analytics-pipeline excerpts)"
"""What the message of an error with an excerpt ends with."""


class PipelineError(Exception):
    """Any failure that the project itself found and can explain.

    Attributes:
        excerpt: What the shop said, or the values that break a rule; personal data, and no part of the message.
    """

    def __init__(self, message: str = "", *, excerpt: str | None = None) -> None:
        super().__init__(f"{message} {ITS_WORDS}" if excerpt else message)
        self.excerpt = excerpt


class TransientError(PipelineError):
    """The same attempt may succeed later, with nothing changed."""


class PermanentError(PipelineError):
    """Trying again cannot help: a setting, a credential, a right or a file has to change first."""


class DataError(PipelineError):
    """The data break what was promised of them; nothing of them was written."""


class DescriptionError(PermanentError):
    """A shop description is wrong; the message gives file, key path (or line) and remedy."""


class MissingSecretError(PermanentError):
    """A `${NAME}` reference of a shop description names an environment variable that is not set."""


class DaysRefusedError(PermanentError):
    """A run is asked for business days that cannot be loaded: before the shop's first one, or not over yet."""


class ShopUnavailableError(TransientError):
    """The shop did not give a whole answer, after all retries."""


class ShopRefusedError(PermanentError):
    """The shop understood the request and refused it: credentials, path or parameters.

    Attributes:
        status: The HTTP status, where the answer had one.
    """

    def __init__(self, message: str, *, status: int | None = None, excerpt: str | None = None) -> None:
        super().__init__(message, excerpt=excerpt)
        self.status = status


class AnswerError(DataError):
    """An answer of the shop breaks its description: a missing record list, no id, a date that is none."""


class ProofError(DataError):
    """A list may lack something: it does not agree with the shop's own count, or it shifted while it was read."""


class CountError(ProofError):
    """Another number of records came than the shop counts.

    Attributes:
        arrived: Different records that came.
        counted: What the shop counts.
    """

    def __init__(self, message: str, *, arrived: int, counted: int) -> None:
        super().__init__(message)
        self.arrived, self.counted = arrived, counted


class PaginationError(DataError):
    """Paging did not come to an end, or led away from the shop."""


class DatabaseUnavailableError(TransientError):
    """The Postgres server cannot be reached."""


class DatabaseRefusedError(PermanentError):
    """The Postgres server refuses the login, or the login lacks a right."""


class SettingsError(PermanentError):
    """A setting of the environment is missing or makes no sense."""


class TableMismatchError(PermanentError):
    """A stored table does not fit its contract and is not changed by itself."""


class NewerSchemaError(PermanentError):
    """The database has a newer schema version than this installation knows."""


class ContractError(DataError):
    """Rows break the contract of the table that they were meant for."""


class TableBusyError(TransientError):
    """A table has to get a column and others have been using it all the time; nothing was changed."""


class OutdatedError(TransientError):
    """A newer extraction of the same days has been stored meanwhile; nothing was written."""


class MartError(PermanentError):
    """A mart's SQL file cannot be read, or does not fit the tables that it reads."""


class SeedError(PermanentError):
    """The first line of a seed's CSV file is no contract; the message gives file and remedy."""


class UnforeseenError(DataError):
    """A step failed by an error that is none of these; the message reports its kind and place, and not its text."""


class FolderUnavailableError(TransientError):
    """A folder or bucket of files cannot be reached."""


class FolderRefusedError(PermanentError):
    """A folder or bucket of files is missing, or may not be read."""


class GrowingFileError(TransientError):
    """A file changed while it was read; nothing of it was taken."""


class FileRefusedError(PermanentError):
    """A file cannot be read as it is described; nothing of it was taken.

    Attributes:
        path: The file, as it is called in its folder.
        line: The line at which reading ended, from 1; None where it is the whole file.
    """

    def __init__(self, message: str, *, path: str, line: int | None = None, excerpt: str | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {message}", excerpt=excerpt)
        self.path, self.line = path, line


class FileUnreachableError(FileRefusedError):
    """A file is not there any more, or may not be read: at the next look it may be, without a change of it."""


class EmptyFileError(FileRefusedError):
    """A file has no content at all."""


class DamagedFileError(FileRefusedError):
    """A file ends too early, or is not what its beginning promises."""


class UnsafeFileError(FileRefusedError):
    """A file would unpack into too much, or leads outside of its folder."""


class MissingColumnError(FileRefusedError):
    """A file lacks a column that the description reads, or has it twice.

    Attributes:
        column: The column.
    """

    def __init__(self, message: str, *, path: str, column: str, line: int | None = None) -> None:
        super().__init__(message, path=path, line=line)
        self.column = column


class FeedError(TransientError):
    """The shop's list of changed orders is not known to be whole, after reading it several times."""
