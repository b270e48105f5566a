"""Defines what goes into the ledger and comes out of it: batches, and records of decisions.

All are plain values; `rows` turns them into rows of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ..decisions import Decision, Detection, Outcome, Reason, Tag
from ..frames import frame_id
from ..health import AlarmKind
from ..sources import FileIdentity, origin_of


class FileState(StrEnum):
    """Tells how far a file has been read."""

    READING = "reading"
    DONE = "done"
    FAILED = "failed"


class Retire(StrEnum):
    """Tells what becomes of an original once all its frames are decided."""

    LEAVE = "leave"
    MOVE = "move"
    """Into the store's quarantine, restorable, up to an age and a total size."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Describes the file of a kept frame in the store."""

    id: str
    source: str
    path: Path
    """Path relative to the store."""
    bytes: int
    sha256: str
    width: int
    height: int
    captured_at_ns: int
    repairs: str | None = None
    """What was put right when it was written, for people; None: nothing, it is byte for byte what
    it came from, or a frame of a clip or stream."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tells how far the frames of one file have been decided."""

    source: str
    file: Path
    identity: FileIdentity
    content_hash: str
    """SHA-256 (hex) of the whole file."""
    next_frame: int
    """Index of the first frame not decided yet."""
    state: FileState
    error: str | None = None
    """Why the file failed; None: it did not."""
    retire: Retire = Retire.LEAVE
    """What becomes of the original after this commit; used only once the file is done."""
    shown_by: str | None = None
    """In a group, the kept frame that shows the same, for a file none of whose frames was kept.
    None: there is none."""
    named: tuple[str, ...] = ()
    """Ids of all kept frames that show the frames of the file, its own included. The original is
    retired only while all of them are in the store."""


@dataclass(frozen=True, slots=True)
class GapRecord:
    """Describes a time in which a source gave no frames. Source and start identify the gap."""

    source: str
    from_ns: int
    to_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """Describes an alarm of a source. Source, kind and start identify the alarm."""

    source: str
    kind: AlarmKind
    from_ns: int
    to_ns: int | None
    """End of the alarm; None: it is not over. The time of the last frame, where the frames ended
    before the alarm did; `detail` then says so."""
    detail: str


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """Describes one kept frame that new frames are compared with."""

    source: str
    id: str
    data: bytes
    """What the gallery needs again after a restart."""


@dataclass(frozen=True, slots=True)
class GalleryNow:
    """Describes the gallery of a source as it is after a batch."""

    ids: Sequence[str]
    """Ids of all entries, oldest first."""
    added: Sequence[GalleryEntry] = ()
    """Entries that the ledger does not hold yet."""


@dataclass(frozen=True, slots=True)
class AlbumRow:
    """Describes a kept photograph in the album of a source, without what it looks like."""

    seq: int
    """Number that rises with every photograph that is added."""
    id: str
    vector: bytes
    """Pooled vector, float32."""
    page: bytes | None
    """As in `AlbumEntry`."""


@dataclass(frozen=True, slots=True)
class ForeignPhotograph:
    """Describes a kept photograph in the album of a source that another model has made."""

    seq: int
    """As in `AlbumRow`."""
    id: str
    data: bytes
    """As in `AlbumEntry`."""


@dataclass(frozen=True, slots=True)
class AlbumEntry:
    """Describes one kept photograph that all later ones are compared with."""

    id: str
    vector: bytes
    """Pooled vector, float32."""
    data: bytes
    """The rest of what a comparison needs."""
    page: bytes | None = None
    """576 levels of a document or a drawing made small, by which it is found among others of its
    layout; None: it is none."""


@dataclass(frozen=True, slots=True)
class AlbumChanges:
    """Describes how the album of a source has changed."""

    added: Sequence[AlbumEntry] = ()
    removed: Sequence[str] = ()
    """Ids of photographs that are kept no longer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Holds what one transaction records."""

    config_hash: str
    model: str
    """Identity of the model that has made all that is measured in it."""
    decisions: list[tuple[Decision, KeptFile | None]] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    gaps: list[GapRecord] = field(default_factory=list)
    alarms: list[AlarmRecord] = field(default_factory=list)
    """In the order of events: an alarm that begins and ends is there twice."""
    states: dict[str, bytes] = field(default_factory=dict)
    """For each source, what its sifter needs again after a restart."""
    changed: list[Decision] = field(default_factory=list)
    """Earlier decisions, as they are from now on; after `decisions`, and in the order in which they
    were changed. What was kept and is dropped leaves the store."""
    galleries: dict[str, GalleryNow] = field(default_factory=dict)
    albums: dict[str, AlbumChanges] = field(default_factory=dict)
    vectors: dict[str, bytes] = field(default_factory=dict)
    """Pooled vectors (little-endian float32) of kept frames, by id; those of photographs are in the
    album."""


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Describes a decision as the ledger holds it."""

    seq: int
    """Number that rises with every new decision: the order in which they were made."""
    decision: Decision
    decided_at_ns: int
    kept_path: Path | None
    """Path relative to the store; None: not kept."""
    config_hash: str | None
    model: str | None
    repairs: str | None = None
    """As in `KeptFile`."""


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """Describes a kept file together with the decision that kept it."""

    file: KeptFile
    record: DecisionRecord
    listed: bool
    """True: its line is safe in the metadata.jsonl of its day folder."""
    adopted: bool
    """True: recovery found the file without a row, because its writer was cut off before it could
    record the decision."""
    missing: bool
    """True: its file was gone when recovery looked."""


@dataclass(frozen=True, slots=True)
class KeptVector:
    """Holds the pooled vector of a kept frame."""

    seq: int
    """As in `DecisionRecord`."""
    id: str
    vector: bytes | None
    """As in `Batch`; None: none was recorded, or another model has made it."""
    file: Path | None
    content_hash: str | None
    """As in `Decision`."""


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """Describes a frame that is kept, with its pooled vector, for those who look at all of them."""

    id: str
    source: str
    reason: Reason
    captured_at_ns: int
    path: Path
    """Path relative to the store, as in `KeptFile`."""
    sha256: str
    """SHA-256 (hex) of the file; "": it is no file of its own."""
    model: str | None
    """Name of the model that made the vector."""
    vector: bytes | None
    """As in `Batch`; None: none was recorded."""


@dataclass(frozen=True, slots=True)
class KeptInWords:
    """Describes a frame that is kept by what it shows, for those who search by words."""

    id: str
    source: str
    path: Path
    """Path relative to the store, as in `KeptFile`."""
    sha256: str
    """SHA-256 (hex) of the file; "": it is no file of its own."""
    file: Path | None
    """File that the frame came from; None: a camera."""
    tags: tuple[Tag, ...] | None
    """As in `Decision`, here as below."""
    detections: tuple[Detection, ...] | None


@dataclass(frozen=True, slots=True)
class SeenFile:
    """Describes a file of the same content that was decided earlier."""

    id: str | None
    """Id of its decision; None: it was a clip of many frames."""
    outcome: Outcome | None
    """None: it was a clip of many frames."""
    file: Path | None
    nearest_kept: str | None
    """Id of the kept frame that shows it, as `Decision.shown_by`; for a clip, what
    `FileRecord.first_kept` says. None: no kept frame shows it."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Describes one file that a source has looked at."""

    source: str
    file: Path
    identity: FileIdentity
    content_hash: str
    next_frame: int
    state: FileState
    error: str | None
    first_kept: str | None
    """Id of the first frame kept out of the file; None: none was kept. In a group, where none was
    kept, the id of the kept frame that shows it."""
    retire: Retire
    """What is still to be done with the original; LEAVE: nothing."""
    named: tuple[str, ...] = ()
    """Ids of all kept frames that show its frames, its own included; see `Checkpoint.named`."""

    @property
    def id_of_still(self) -> str:
        """Gives the id that the frame of the file has if the file is a still."""
        return frame_id(self.source, origin_of(self.file, self.identity), 0)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Describes an original that was moved into quarantine."""

    key: int
    source: str
    original: Path
    """Where it came from and where it is restored to."""
    path: Path
    """Path in quarantine, relative to the store."""
    size: int
    sha256: str
    at_ns: int
    """Time of the move, as the clock on the wall told it."""
    lifetime_ns: int = 0
    """The ledger's lifetime at the move, from which its age is told."""


@dataclass(frozen=True, slots=True)
class InPlaceRepairRecord:
    """Describes what a still was repaired to, where it lay."""

    now: Path
    """Where the repaired still is."""
    sha256: str
    """Hash (hex) of the repaired still."""
    repairs: str
    """What was put right, for people."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Describes a still that was kept, until a better copy took its place."""

    path: Path
    """Path relative to the store, where it lies until it is taken away."""
    original: FileRecord


class CorrectionKind(StrEnum):
    """Names what a person says of a decision."""

    KEEP = "keep"
    """The frame was dropped, and is kept now."""
    DROP = "drop"
    """The frame was kept, and is in quarantine now."""
    SAME = "same"
    """The frame and another one show the same."""
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Correction:
    """Describes what a person said of a decision."""

    id: int
    made_at: int
    """UTC, nanoseconds since 1970."""
    decision_id: str
    kind: CorrectionKind
    other_decision_id: str | None
    """The other frame of a pair; None: it is about one frame."""
    undone_at: int | None
    """UTC, nanoseconds since 1970; None: it holds."""
    was: Reason | None
    """Reason of the decision before it; None: a pair was labelled, which changes no decision."""
    kept: KeptFile | None
    """The file that it has put into the store or taken out of it."""
    moved_to: Path | None
    """Where a file lies in quarantine that it has taken out, relative to the store; None: its bytes
    lie elsewhere, as where they came from."""


@dataclass(frozen=True, slots=True)
class LargerCopies:
    """Says that larger copies were dropped, since another source had kept a smaller one before."""

    number: int
    kept_by: str
    """That source, or the first by name of several."""


@dataclass(frozen=True, slots=True)
class SampleStats:
    """Gives the totals of the audit samples of one source."""

    sampled: int
    missing: int
    """Samples whose picture is gone."""
    judged: int
    open: int
    """Samples whose picture is there and that have not been judged yet."""


@dataclass(frozen=True, slots=True)
class SourceStats:
    """Gives the totals of one source."""

    source: str
    reasons: dict[Reason, int]
    """Number of frames by reason."""
    kept_bytes: int
    missing: int
    """Kept frames whose file is gone, without audit samples."""
    samples: SampleStats
    first_ns: int | None
    """Earliest captured time; None: no decision is recorded."""
    last_ns: int | None
    files: dict[FileState, int]
    gaps: int
    gap_s: float
    left_alone: dict[str, int]
    """What the last listing found and is not read, as in `sources.LeftAlone`."""

    @property
    def offered(self) -> int:
        """Returns the number of frames of all reasons."""
        return sum(self.reasons.values())
