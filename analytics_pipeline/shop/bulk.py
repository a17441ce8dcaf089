"""How a shop writes a whole list into a file for a job that is started, watched and fetched: models of its description.

What is done with them is in sources/bulk.py.
"""

from typing import Annotated

from pydantic import Field, model_validator

from analytics_pipeline.shop.placeholders import names_in
from analytics_pipeline.shop.protocol import DottedPath, Expression, Model, Text
from analytics_pipeline.shop.requests import Request

States = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]


class BulkStart(Request):
    """The request that starts a job; `{{from}}` and `{{to}}` in it are the bounds of the window.

    Attributes:
        id: Path of the job's id in the answer.
        busy_when: Expression on the answer that is true while another job keeps this one from starting.
    """

    id: DottedPath
    busy_when: Expression | None = None


class BulkPoll(Request):
    """The request that says how a job is; `{{id}}` in it is the job's.

    Attributes:
        state: Path of the state.
        done: States of a job that is over and whose file is whole.
        failed: States of one that has no file; any other state is waited for.
        count: Path of the number of lines that the file has.
        url: Path of the file's address; null where there is nothing to fetch.
    """

    state: DottedPath
    done: States
    failed: States
    count: DottedPath
    url: DottedPath


class BulkChild(Model):
    """Lines that belong to another line.

    Attributes:
        into: Where the other one gets the list of them: a key, or a path.
        when: Expression on a line that is true for these; None: for all.
    """

    into: DottedPath
    when: Expression | None = None


class Bulk(Model):
    """A list that comes as a file of JSON lines.

    Attributes:
        start: Starts the job.
        poll: Asks how it is.
        id: Path of the id in a line.
        parent: Path of the id of the line that a line belongs to, which only such lines have.
        children: Where these go; the first that fits.
        min_days: Windows of fewer business days are read page by page.
        every_seconds: Pause between two looks at the job.
        max_minutes: How long the job and its file may take, each.
        max_mb: How large the file may be, decompressed.
    """

    start: BulkStart
    poll: BulkPoll
    id: DottedPath = "id"
    parent: DottedPath | None = None
    children: Annotated[tuple[BulkChild, ...], Field(strict=False)] = ()
    min_days: int = Field(default=8, ge=1)
    every_seconds: float = Field(default=5, gt=0)
    max_minutes: float = Field(default=60, gt=0, le=1440)
    max_mb: int = Field(default=2048, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "Bulk":
        if (self.parent is None) != (not self.children):
            raise ValueError("parent and children belong together: give both or none")
        starts, polls = (set(names_in((one.path, one.params, one.body))) for one in (self.start, self.poll))
        if starts != {"from", "to"}:
            raise ValueError("start: {{from}} and {{to}} have to stand in its params or body, and no other placeholder")
        if polls != {"id"}:
            raise ValueError("poll: {{id}} has to stand in its path, params or body, and no other placeholder")
        return self
