"""How the demo shop's list requests go wrong when told to: for a share of them, or for the next few.

Only the decision is made here; what a fault does to an answer is in `app`.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from threading import Lock


class Fault(StrEnum):
    """Ways in which an answer can be wrong."""

    TOO_MANY_REQUESTS = "too_many_requests"  # 429 with Retry-After
    ERROR_500 = "error_500"
    ERROR_503 = "error_503"
    TIME_OUT = "time_out"  # the answer comes late
    CUT_ANSWER = "cut_answer"  # Content-Length is larger than the body, then the connection closes
    DUPLICATE_PAGE = "duplicate_page"  # every record of the page comes twice
    DUPLICATE_RECORD = "duplicate_record"  # the last record of the page comes twice
    MISSING_RECORD = "missing_record"  # the last record of the page is left out, but counted
    SHIFTED_LIST = (
        "shifted_list"  # the list's first record has gone to its end since the page before (page numbers only)
    )
    NEW_FIELD = "new_field"  # every record carries a field that nobody knows


_PASSING = (Fault.TOO_MANY_REQUESTS, Fault.ERROR_500, Fault.ERROR_503, Fault.CUT_ANSWER)


@dataclass(slots=True)
class _Instruction:
    fault: Fault
    share: float
    left: int
    path: str | None


class Misbehaviour:
    """Which requests go wrong, and how. Shares are drawn from the seed, so equal requests in equal order fail equally.

    Attributes:
        retry_after: seconds that a 429 asks to wait for.
        late_by: seconds by which a late answer is late.
    """

    def __init__(self, seed: int, passing_share: float = 0.0) -> None:
        self.retry_after = 1
        self.late_by = 90.0
        self._random = Random(f"{seed}:misbehaviour")
        self._lock = Lock()
        self._instructions = [
            _Instruction(fault, passing_share / len(_PASSING), 0, None) for fault in _PASSING if passing_share
        ]

    def add(self, fault: Fault, *, share: float = 0.0, next_requests: int = 0, path: str | None = None) -> None:
        """Make list requests go wrong from now on.

        Args:
            fault: how.
            share: of all requests, 0..1, until `stop`.
            next_requests: so many requests from now, whatever the share.
            path: only requests of this path, such as `/orders`; None means all lists.
        """
        with self._lock:
            self._instructions.append(_Instruction(fault, share, next_requests, path))

    def stop(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._instructions.clear()

    def strikes(self, fault: Fault, path: str) -> bool:
        """Whether the present request suffers a fault; ask once for each request and fault."""
        with self._lock:
            return any(
                self._strikes(instruction)
                for instruction in self._instructions
                if instruction.fault is fault and instruction.path in (None, path)
            )

    def _strikes(self, instruction: _Instruction) -> bool:
        if instruction.left > 0:
            instruction.left -= 1
            return True
        return instruction.share > 0 and self._random.random() < instruction.share
