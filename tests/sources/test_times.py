"""Times of files: which one counts, and which is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stillsift.frames import TimeOrigin
from stillsift.sources.times import NamePattern, Taken, Times

MTIME = datetime(2026, 11, 28, 12, tzinfo=UTC)
BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
NAMED = Times(NamePattern("cam_%Y%m%d_%H%M%S"))


def ns(moment: datetime) -> int:
    return round(moment.timestamp()) * 10**9


def still(times: Times, name: str, exif: datetime | None, mtime: datetime = MTIME) -> Taken:
    return times.of_still(Path("/yard") / name, exif, ns(mtime))


def test_the_name_counts_before_exif() -> None:
    taken = still(NAMED, "cam_20240102_030405.jpg", datetime(2024, 5, 6))
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert taken == Taken(ns(moment), TimeOrigin.FILENAME, timed=True)


@pytest.mark.parametrize("exif_timeline", [False, True])
def test_exif_is_a_time_line_if_that_is_wanted(exif_timeline: bool) -> None:
    moment = datetime(2024, 5, 6, tzinfo=UTC)
    times = Times(NAMED.pattern, exif_timeline=exif_timeline)
    assert still(times, "a.jpg", moment) == Taken(ns(moment), TimeOrigin.EXIF, exif_timeline)
    assert still(times, "a.jpg", None) == Taken(ns(MTIME), TimeOrigin.MTIME, timed=False)


@pytest.mark.parametrize(
    ("moment", "zone"),
    [
        (datetime(1970, 1, 1, 0, 0, 22), UTC),
        (datetime(1980, 1, 1), UTC),
        (datetime(1985, 7, 4), UTC),
        (datetime(2000, 1, 1), UTC),
        (datetime(2000, 1, 1, 0, 5), SHANGHAI),
        (datetime(2000, 1, 1, 23, 59), timezone(-timedelta(hours=12))),
        (datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=14))), UTC),
        (datetime(1, 1, 1), UTC),
        (datetime(9999, 12, 31), UTC),
    ],
)
def test_an_unset_clock_tells_no_time(moment: datetime, zone: tzinfo) -> None:
    taken = still(Times(zone=zone, exif_timeline=True), "a.jpg", moment)
    assert taken == Taken(ns(MTIME), TimeOrigin.MTIME, timed=False)


@pytest.mark.parametrize(
    "created",
    [
        *("1904-01-01T00:00:00Z", "1970-01-01T00:00:07Z", "1980-01-06T00:00:00Z"),
        *("2000-01-01T00:00:00Z", "1999-12-31T16:00:02Z", "never", None),
    ],
)
def test_an_unset_clock_tells_no_start_of_a_clip(created: str | None) -> None:
    start = Times().of_clip_start(Path("a.mp4"), created, ns(MTIME), 60.0)
    assert start == (ns(MTIME - timedelta(minutes=1)), TimeOrigin.PTS)


def test_a_name_from_an_unset_clock_tells_no_time_but_lies_on_the_time_line() -> None:
    written = datetime(2026, 11, 28, 11, tzinfo=UTC)
    for name in ("cam_19700101_000022.jpg", "cam_20000101_013000.jpg"):
        assert still(NAMED, name, None) == Taken(ns(MTIME), TimeOrigin.MTIME, timed=True)
        assert still(NAMED, name, written) == Taken(ns(written), TimeOrigin.EXIF, timed=True)


def test_a_name_that_people_gave_an_old_picture_counts() -> None:
    taken = still(NAMED, "cam_19630828_120000.jpg", None)
    assert taken.at_ns == ns(datetime(1963, 8, 28, 12, tzinfo=UTC))


# The clocks of Berlin went from 3:00 back to 2:00 on 2026-10-25 at 1:00 UTC.


@pytest.mark.parametrize(
    ("read", "taken"),
    [
        ("015959", "2026-10-24T23:59:59Z"),
        ("021000", "2026-10-25T00:10:00Z"),
        ("021030", "2026-10-25T01:10:30Z"),
        ("030000", "2026-10-25T02:00:00Z"),
    ],
)
@pytest.mark.parametrize("late", [0, 60, -60, 1700])
def test_an_hour_that_comes_twice_is_the_one_nearer_to_the_change(
    read: str, taken: str, late: int
) -> None:
    moment = datetime.fromisoformat(taken)
    mtime = moment + timedelta(seconds=late)
    times = Times(NamePattern("cam_%Y%m%d_%H%M%S", BERLIN), BERLIN)
    assert still(times, f"cam_20261025_{read}.jpg", None, mtime).at_ns == ns(moment)
    exif = datetime.strptime(f"20261025{read}", "%Y%m%d%H%M%S")
    assert still(times, "a.jpg", exif, mtime).at_ns == ns(moment)
    # A clip is changed last when it ends.
    end = moment + timedelta(minutes=50, seconds=late)
    start = times.of_clip_start(Path(f"cam_20261025_{read}.mp4"), None, ns(end), 50 * 60.0)
    assert start == (ns(moment), TimeOrigin.FILENAME)


def test_an_hour_that_comes_twice_is_clear_where_the_zone_is_named() -> None:
    pattern = NamePattern("%Y%m%d_%H%M%S%z", BERLIN)
    near_ns = ns(datetime(2026, 10, 25, 1, 10, tzinfo=UTC))
    first = ns(datetime(2026, 10, 25, 0, 10, tzinfo=UTC))
    assert pattern.time_ns(Path("20261025_021000+0200.jpg"), near_ns) == first
    assert NamePattern("%Y%m%d_%H%M%S", BERLIN).time_ns(Path("20261025_021000.jpg")) == first
