"""Implements `stillsift coverage`: tells what the kept frames stand for, and where the gaps are."""

from __future__ import annotations

import argparse

from ..dataset import PictureSet
from ..dataset.alike import similarity_limit
from ..dataset.contact_sheet import Row, Tile
from ..dataset.cover import cover
from ..dataset.groups import groups_of
from ..dataset.time_cover import SHOWN, Stretch, TimeCover, time_cover
from ..decisions import Decision, Reason, time_text, told_measure
from ..ledger import LedgerReader
from ..ledger.covered import Covered
from ..units import counted, shown_duration
from .arguments import Commands, UsageError, add_command, known_source, opened_ledger, store_path
from .picture_sets import (
    add_most,
    add_pictures,
    add_sheet,
    check_sheet,
    cosine,
    draw_sheet,
    names_folders,
    picture_set,
    print_json,
    print_unread,
    unread_json,
)
from .tables import table

_EXAMPLES = """\
  stillsift coverage --store sifted              by day and source, and what lies far from it
  stillsift coverage --store sifted --by hour --source gate
  stillsift coverage photos/ --sheet cover.jpg   how many pictures show 50, 80, 95 % of a folder
"""
_SLOTS_S = {"day": 86_400, "hour": 3600}
_QUANTILES = (0.5, 0.9, 0.99)


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "coverage",
        coverage,
        "Tell what the kept frames stand for, and where the gaps are.",
        _EXAMPLES,
    )
    add_pictures(parser)
    parser.add_argument(
        "--by", choices=tuple(_SLOTS_S), default="day", help="stretches of time (default: day, UTC)"
    )
    parser.add_argument(
        "--similarity",
        type=cosine,
        metavar="COSINE",
        help="of folders: from which on one picture shows another (default: as `groups`)",
    )
    add_most(
        parser,
        10,
        "kept frames, dropped frames and gaps to name, or pictures on the sheet (default: 10)",
    )
    add_sheet(parser)


def coverage(given: argparse.Namespace) -> int:
    """Prints the cover of time and appearance of a store, or that of a folder."""
    check_sheet(given)
    if names_folders(given):
        _of_folders(given)
    elif given.similarity is not None:
        raise UsageError("coverage: --similarity is for folders; a store has recorded distances")
    else:
        _of_store(given)
    return 0


# -- folders ---------------------------------------------------------------------------------------


def _of_folders(given: argparse.Namespace) -> None:
    made, _ = picture_set(given)
    limit = similarity_limit(made.vectors) if given.similarity is None else given.similarity
    found = groups_of(made.vectors, limit)
    steps = cover(found)
    print_unread(made)
    told = f"{counted(len(made), 'picture')}; similarity {limit:.3f} and more counts as shown"
    if given.json:
        print_json(
            {
                **unread_json(made),
                "similarity": told_measure(limit),
                "cover": [{"share": step.share, "pictures": step.pictures} for step in steps],
                "order": [made.entries[group.medoid].name for group in found],
            }
        )
    else:
        print(told)
        if steps:
            rows = [[f"{step.share:.0%}", str(step.pictures)] for step in steps]
            print(table([["of the set", "shown by"], *rows]))
    if given.sheet is not None:
        tiles = _representatives(made, [(g.medoid, len(g.members)) for g in found[: given.most]])
        draw_sheet(given, told, [Row("each shows the most of what is left", tiles)])


def _representatives(made: PictureSet, found: list[tuple[int, int]]) -> list[Tile]:
    covered, tiles = 0, []
    for place, size in found:
        covered += size
        entry = made.entries[place]
        share = covered / len(made)
        tiles.append(Tile(entry.path, entry.caption, f"shows {size}, with these {share:.0%}"))
    return tiles


# -- a store ---------------------------------------------------------------------------------------


def _of_store(given: argparse.Namespace) -> None:
    slot_ns = _SLOTS_S[given.by] * 10**9
    with opened_ledger(given) as ledger:
        source = known_source(given, ledger)
        sums = ledger.covered(source, slot_ns, given.most, SHOWN)
        gaps = ledger.gaps(source=source)
        covers = time_cover(sums.slots, gaps, slot_ns)
        standing = [(_decision(ledger, id_), id_, frames) for id_, frames in sums.standing]
        farthest = [each for each in (_decision(ledger, id_) for id_ in sums.farthest) if each]
        longest = sorted(gaps, key=lambda gap: gap.from_ns - gap.to_ns)[: given.most]
        tiles = _pairs(given, ledger, farthest) if given.sheet is not None else []
    appearance = _appearance(sums)
    if given.json:
        print_json(
            {
                "by": given.by,
                "sources": [_as_json(each) for each in covers],
                "gaps": [
                    {
                        "source": gap.source,
                        "from": time_text(gap.from_ns),
                        "seconds": round((gap.to_ns - gap.from_ns) / 1e9, 3),
                        "cause": gap.cause,
                    }
                    for gap in longest
                ],
                "stand_for": [
                    {"id": id_, "file": _file(decision), "frames": number}
                    for decision, id_, number in standing
                ],
                "appearance": appearance,
                "farthest": [_far_json(each) for each in farthest],
            }
        )
    elif not covers:
        print("nothing recorded yet")
    else:
        _print_time(covers, given.by)
        if longest:
            print("\nthe longest gaps, in which a camera was away")
            heading = ["source", "from", "lasted", "cause"]
            rows = [
                [
                    g.source,
                    time_text(g.from_ns),
                    shown_duration((g.to_ns - g.from_ns) / 1e9),
                    g.cause,
                ]
                for g in longest
            ]
            print(table([heading, *rows]))
        if standing:
            print("\nkept frames that stand for the most others")
            told = [[str(number), id_, _file(decision)] for decision, id_, number in standing]
            print(table([["frames", "kept", "file"], *told]))
        if appearance:
            print("\ndistance of dropped frames to the kept one that each names (1: the limit)")
            print(table([list(appearance[0]), *([str(v) for v in a.values()] for a in appearance)]))
        if farthest:
            print("\nthe farthest of those that no kept frame shows")
            heading = ["distance", "reason", "file", "kept frame", "detail"]
            print(table([heading, *(_far_row(each) for each in farthest)]))
    if given.sheet is not None:
        draw_sheet(given, "dropped frames that no kept frame shows, the farthest first", tiles)


def _decision(ledger: LedgerReader, id_: str) -> Decision | None:
    record = ledger.decision(id_)
    return None if record is None else record.decision


def _file(decision: Decision | None) -> str:
    """Returns where a frame came from, for people; "": a camera, or it is in the ledger no more."""
    if decision is None or decision.file is None:
        return ""
    if decision.content_hash is not None:
        return str(decision.file)
    return f"{decision.file} #{decision.frame_index}"


def _appearance(sums: Covered) -> list[dict[str, object]]:
    """Returns for each reason to drop how far its frames lie from kept ones."""
    by_reason: dict[Reason, list[tuple[float, int]]] = {}
    for reason, distance, frames in sums.distances:
        by_reason.setdefault(reason, []).append((distance, frames))
    return [
        {
            "reason": reason.value,
            "frames": sum(frames for _, frames in found),
            **{f"{share:.0%} within": _quantile(found, share) for share in _QUANTILES},
            "beyond 1": sum(frames for distance, frames in found if distance > 1),
        }
        for reason, found in by_reason.items()
    ]


def _quantile(found: list[tuple[float, int]], share: float) -> float:
    """Returns the distance that this share of the frames has at most."""
    wanted, below = share * sum(frames for _, frames in found), 0
    for distance, frames in found:
        below += frames
        if below >= wanted:
            return distance
    raise ValueError("no distance is given")


def _print_time(covers: list[TimeCover], by: str) -> None:
    for cover_ in covers:
        share = cover_.shown / cover_.frames if cover_.frames else 0.0
        away = f", away {shown_duration(cover_.away_s)}" if cover_.gaps else ""
        print(
            f"{cover_.source}: {counted(cover_.frames, 'frame')}, {cover_.kept} kept, "
            f"{share:.1%} shown by what is kept; {counted(cover_.with_frames, by)} with frames, "
            f"{cover_.covered} shown whole{away}"
        )
    heading = ["source", by, "frames", "kept", "shown", "not shown", "away"]
    rows = [_stretch_row(each, by) for cover_ in covers for each in cover_.stretches]
    print(f"\n{table([heading, *rows])}")


def _stretch_row(each: Stretch, by: str) -> list[str]:
    return [
        each.source,
        time_text(each.from_ns)[: 10 if by == "day" else 13],
        str(each.frames),
        str(each.kept),
        f"{each.shown / each.frames:.1%}" if each.frames else "-",
        str(each.dropped_unseen),
        shown_duration(each.away_s) if each.away_s else "",
    ]


def _as_json(each: TimeCover) -> dict[str, object]:
    return {
        "source": each.source,
        "frames": each.frames,
        "kept": each.kept,
        "shown": each.shown,
        "stretches_with_frames": each.with_frames,
        "stretches_shown_whole": each.covered,
        "gaps": each.gaps,
        "away_s": round(each.away_s, 3),
        "stretches": [
            {
                "from": time_text(stretch.from_ns),
                "frames": stretch.frames,
                "kept": stretch.kept,
                "shown": stretch.shown,
                "away_s": round(stretch.away_s, 3),
            }
            for stretch in each.stretches
        ],
    }


def _far_json(each: Decision) -> dict[str, object]:
    return {
        "id": each.id,
        "source": each.source,
        "file": _file(each),
        "reason": each.reason.value,
        "distance": told_measure(each.distance),
        "nearest_kept": each.nearest_kept,
        "detail": each.detail,
    }


def _far_row(each: Decision) -> list[str]:
    distance = "" if each.distance is None else f"{each.distance:.2f}"
    return [distance, each.reason.value, _file(each), each.nearest_kept or "", each.detail or ""]


def _pairs(given: argparse.Namespace, ledger: LedgerReader, farthest: list[Decision]) -> list[Row]:
    """Returns each dropped frame beside the kept one that it names."""
    rows = []
    for each in farthest:
        kept = None if each.nearest_kept is None else ledger.kept_file(each.nearest_kept)
        path = None if kept is None else (store_path(given) / kept.path).absolute()
        shown = Tile(path, f"kept {each.nearest_kept}", "kept", framed=True)
        still = each.file if each.content_hash is not None else None
        dropped = Tile(still, _file(each), each.reason.value)
        rows.append(Row(f"distance {each.distance:.2f}: {each.detail or ''}", [shown, dropped]))
    return rows
