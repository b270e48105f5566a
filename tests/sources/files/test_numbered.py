"""Which names of stills may be those of a clip's frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillsift.sources.files.numbered import NumberedFolder, numbered
from stillsift.sources.files.tree import natural


def folder(*names: str) -> NumberedFolder | None:
    return numbered(sorted((Path("/yard") / name for name in names), key=natural))


def test_frames_are_in_the_order_of_their_numbers() -> None:
    found = folder(*(f"in{number}.jpg" for number in range(5, 45)))
    assert found is not None
    assert (found.names, found.step) == ("in#.jpg", 1)
    assert [path.name for path in found.stills[3:7]] == [
        "in8.jpg",
        "in9.jpg",
        "in10.jpg",
        "in11.jpg",
    ]
    assert found.sample == [found.stills]


def test_the_sample_is_bounded_and_from_all_over_the_folder() -> None:
    found = folder(*(f"in{number:06}.jpg" for number in range(0, 50_000, 5)))
    assert found is not None
    assert found.step == 5
    assert [len(block) for block in found.sample] == [8] * 8
    assert found.sample[0][0].name == "in000000.jpg"
    assert found.sample[-1][-1].name == "in049995.jpg"
    for block in found.sample:
        at = found.stills.index(block[0])
        assert found.stills[at : at + 8] == block


FRAMES = [f"in{number:04}.jpg" for number in range(100)]


@pytest.mark.parametrize(
    ("names", "is_numbered"),
    [
        (FRAMES[:16], True),
        (FRAMES[:15], False),
        ([*FRAMES, "cover.jpg"], True),
        ([*FRAMES, "a1.jpg", "b1.jpg", "c1.jpg"], False),
        (FRAMES[:30] + FRAMES[35:], True),
        ([name for number, name in enumerate(FRAMES) if number % 7 in (0, 2, 3)], False),
        ([f"photo{number}_{'abc'[number % 3]}.jpg" for number in range(60)], False),
        ([f"{number % 2 * 'x'}{number}.jpg" for number in range(60)], False),
        ([], False),
        ([f"img-{word}.jpg" for word in "abcdefghijklmnopqrst"], False),
    ],
)
def test_one_number_changes_mostly_by_one_step(names: list[str], is_numbered: bool) -> None:
    assert (folder(*names) is not None) is is_numbered
