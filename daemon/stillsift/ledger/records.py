"""What goes into the ledger and comes out of it: batches, and records of what was decided.

Values only; how they lie in tables is told by `rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ..decisions import Decision, Outcome, Reason
from ..health import AlarmKind
from ..sources import FileIdentity


class FileState(StrEnum):
    """How far a file has been read."""

    READING = "reading"
    DONE = "done"
    FAILED = "failed"


class Retire(StrEnum):
    """What becomes of an original once all its frames are decided."""

    LEAVE = "leave"
    MOVE = "move"
    """Into the store's quarantine, for a time and a size, restorable."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A kept frame as it lies in the store."""

    id: str
    source: str
    path: Path
    """Relative to the store."""
    bytes: int
    sha256: str
    width: int
    height: int
    captured_at_ns: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one file of a source has been decided."""

    source: str
    file: Path
    identity: FileIdentity
    content_hash: str
    """SHA-256 (hex) of the whole file."""
    next_frame: int
    """Index of the first frame not decided yet."""
    state: FileState
    error: str | None = None
    """Why it failed; None: it did not."""
    retire: Retire = Retire.LEAVE
    """What becomes of the original after this commit; heeded once the file is done."""
    shown_by: str | None = None
    """In a group, the kept frame that the original has to wait for where none was kept out of it;
    None: it waits for none."""


@dataclass(frozen=True, slots=True)
class GapRecord:
    """A time in which a source gave no frames. The same source and start is the same gap."""

    source: str
    from_ns: int
    to_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """A trouble of a source. The same source, kind and start is the same alarm."""

    source: str
    kind: AlarmKind
    from_ns: int
    to_ns: int | None
    """None: it is not over. The last frame, where the frames ended before; `detail` says so."""
    detail: str


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """One kept frame that new frames are compared with."""

    source: str
    id: str
    data: bytes
    """What the gallery wants to find again after a restart."""


@dataclass(frozen=True, slots=True)
class GalleryNow:
    """The gallery of a source as it is after this batch."""

    ids: Sequence[str]
    """All of them, oldest first."""
    added: Sequence[GalleryEntry] = ()
    """Those that the ledger does not hold yet."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction records."""

    config_hash: str
    model: str
    decisions: list[tuple[Decision, KeptFile | None]] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    gaps: list[GapRecord] = field(default_factory=list)
    alarms: list[AlarmRecord] = field(default_factory=list)
    """In the order of events: one that begins and ends is there twice."""
    states: dict[str, bytes] = field(default_factory=dict)
    """Source to whatever its sifter wants to find again after a restart."""
    galleries: dict[str, GalleryNow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as the ledger holds it."""

    seq: int
    """Rises with every new decision: the order in which they were made."""
    decision: Decision
    decided_at_ns: int
    kept_path: Path | None
    """Relative to the store; None: not kept."""
    config_hash: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A kept file with the decision that kept it."""

    file: KeptFile
    record: DecisionRecord
    listed: bool
    """Its line is in the day folder's metadata.jsonl for certain."""
    adopted: bool
    """Found by recovery; whoever wrote it was cut off before it could say why."""
    missing: bool
    """Its file was gone when recovery looked."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file of the same content that was decided earlier."""

    id: str | None
    """Of its decision; None: it was a clip of many frames."""
    outcome: Outcome | None
    """None: it was a clip of many frames."""
    file: Path | None
    nearest_kept: str | None
    """The kept frame that shows it, as `Decision.shown_by`; of a clip the first one kept. None:
    nothing kept shows it."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that a source has looked at."""

    source: str
    file: Path
    identity: FileIdentity
    content_hash: str
    next_frame: int
    state: FileState
    error: str | None
    first_kept: str | None
    """The first frame kept out of it; None: none was. In a group, where none was, the kept frame
    that shows it."""
    retire: Retire
    """What is still to be done with the original."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An original that was moved into quarantine."""

    key: int
    source: str
    original: Path
    """Where it came from and goes back to."""
    path: Path
    """Relative to the store."""
    size: int
    sha256: str
    at_ns: int
    """When it was moved."""


@dataclass(frozen=True, slots=True)
class SampleStats:
    """The audit samples of one source, added up."""

    sampled: int
    missing: int
    """Whose picture is gone."""
    judged: int
    open: int
    """Whose picture is there, and nothing was said of it yet."""


@dataclass(frozen=True, slots=True)
class SourceStats:
    """One source, added up."""

    source: str
    reasons: dict[Reason, int]
    kept_bytes: int
    missing: int
    """Kept frames whose file is gone, those for the audit left out."""
    samples: SampleStats
    first_ns: int | None
    """Earliest captured time; None: no frame yet."""
    last_ns: int | None
    files: dict[FileState, int]
    gaps: int
    gap_s: float

    @property
    def offered(self) -> int:
        return sum(self.reasons.values())
