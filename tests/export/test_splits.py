"""Frames are set apart by whole groups, as near to the share as those allow."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stillsift.export.splits import divided

SIZES = st.dictionaries(st.text("abcdefgh", min_size=1), st.integers(1, 500), max_size=30)


def counted(sizes: dict[str, int], splits: dict[str, str]) -> Counter[str]:
    counts = Counter[str]()
    for group, size in sizes.items():
        counts[splits[group]] += size
    return counts


@given(SIZES, st.floats(0.01, 0.9))
def test_it_is_as_near_as_whole_groups_allow(sizes: dict[str, int], share: float) -> None:
    splits = divided(sizes, {}, {}, share)
    assert splits.keys() == sizes.keys()
    counts, total = counted(sizes, splits), sum(sizes.values())
    assert (counts["val"] > 0) == (len(sizes) > 1)
    assert (counts["train"] > 0) == (len(sizes) > 0)
    of_val = [sizes[group] for group, split in splits.items() if split == "val"]
    of_train = [sizes[group] for group, split in splits.items() if split == "train"]
    if len(of_val) > 1:
        assert counts["val"] - max(of_val) / 2 <= share * total
    if len(of_train) > 1:
        assert counts["val"] + min(of_train) / 2 > share * total


@given(SIZES, SIZES, st.floats(0.01, 0.9))
def test_what_has_a_split_keeps_it(
    first: dict[str, int], then: dict[str, int], share: float
) -> None:
    splits = divided(first, {}, {}, share)
    again = divided(then, splits, counted(first, splits), share)
    assert {group: again[group] for group in first} == splits
    assert again.keys() == first.keys() | then.keys()


def test_without_a_share_nothing_is_set_apart() -> None:
    assert set(divided({"a": 3, "b": 4}, {}, {}, 0).values()) == {"train"}
