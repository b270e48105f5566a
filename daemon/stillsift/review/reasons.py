"""Says in words what a reason means, and which reasons are drawn in one colour."""

from __future__ import annotations

from enum import StrEnum

from ..decisions import Outcome, Reason, outcome_of


class Kind(StrEnum):
    """Names reasons that are drawn in one colour."""

    KEPT = "kept"
    SAME = "same"
    UNSHARP = "unsharp"
    EMPTY = "empty"
    LIMITED = "limited"
    UNWANTED = "unwanted"
    FAILED = "failed"
    LOST = "lost"

    @property
    def words(self) -> str:
        """Gives what the legend says."""
        return _KINDS[self]


_KINDS = {
    Kind.KEPT: "kept",
    Kind.SAME: "shows the same as a kept frame",
    Kind.UNSHARP: "blurred, or gone at once",
    Kind.EMPTY: "too dark, too bright or empty",
    Kind.LIMITED: "too soon, or over the budget",
    Kind.UNWANTED: "not what was asked for",
    Kind.FAILED: "failed",
    Kind.LOST: "lost",
}

_KIND_OF = {
    Reason.EXACT_DUPLICATE: Kind.SAME,
    Reason.NEAR_DUPLICATE: Kind.SAME,
    Reason.SAME_BACKGROUND: Kind.SAME,
    Reason.SAME_OBJECT: Kind.SAME,
    Reason.FLEETING: Kind.UNSHARP,
    Reason.BLURRY: Kind.UNSHARP,
    Reason.DARK: Kind.EMPTY,
    Reason.BRIGHT: Kind.EMPTY,
    Reason.LOW_INFORMATION: Kind.EMPTY,
    Reason.RATE_LIMITED: Kind.LIMITED,
    Reason.BUDGET: Kind.LIMITED,
}

_WORDS = {
    Reason.NOVEL: "It shows something that no kept frame shows.",
    Reason.SHARPEST: "It is the least blurred of a moment that had no sharp frame.",
    Reason.HEARTBEAT: "It shows nothing new, but no frame was kept for as long as heartbeat says.",
    Reason.TRIGGER: "It shows nothing new, but an object that trigger asks for.",
    Reason.AUDIT: "It was to be dropped, and was laid aside by chance for you to judge.",
    Reason.PICKED: "It was dropped, and you asked for it.",
    Reason.EXACT_DUPLICATE: "A file with the same bytes was decided before.",
    Reason.NEAR_DUPLICATE: "The kept frame beside it shows the same.",
    Reason.SAME_BACKGROUND: "Several kept frames together show all of it.",
    Reason.SAME_OBJECT: "What is new in it belongs to an object that was kept.",
    Reason.FLEETING: "What is new in it was gone at once, as noise or a flash is.",
    Reason.BLURRY: "A sharper frame of the same moment was kept.",
    Reason.DARK: "It is darker than min_brightness.",
    Reason.BRIGHT: "It is brighter than max_brightness.",
    Reason.LOW_INFORMATION: "It has less contrast than min_contrast.",
    Reason.NO_TARGET: "It is new, but shows no object that require asks for.",
    Reason.INHIBITED: "It is new, but shows an object that inhibit leaves out.",
    Reason.RATE_LIMITED: "It is new, but came too soon after the last kept frame.",
    Reason.BUDGET: "It is new, but the budget was used up.",
    Reason.UNLIKE_EXAMPLES: "It does not resemble the good examples, or the bad ones more.",
    Reason.REJECTED: "It was kept, and you took it out.",
    Reason.DECODE_ERROR: "The file could not be decoded.",
    Reason.MODEL_ERROR: "The model could not look at it.",
    Reason.WRITE_ERROR: "It could not be written.",
    Reason.OVERLOAD: "Analysis fell behind.",
    Reason.GAP: "The camera was away.",
}


def kind_of(reason: Reason) -> Kind:
    """Returns the kind of a reason."""
    match outcome_of(reason):
        case Outcome.KEPT:
            return Kind.KEPT
        case Outcome.FAILED:
            return Kind.FAILED
        case Outcome.LOST:
            return Kind.LOST
        case Outcome.DROPPED:
            return _KIND_OF.get(reason, Kind.UNWANTED)


def in_words(reason: Reason) -> str:
    """Returns what a reason means, as a sentence."""
    return _WORDS[reason]
