"""The best view of an object is whole, sharp and large."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sifting import scene
from stillsift.arrays import Image, Mask
from stillsift.decisions import Box
from stillsift.selection.best_view import Look, best_view

VIEW = np.asarray(cv2.resize(scene(1), (640, 360)), np.uint8)
SOFT = np.asarray(cv2.GaussianBlur(VIEW, (0, 0), 4), np.uint8)
SMALL: Box = (0.30, 0.3, 0.40, 0.5)
LARGE: Box = (0.30, 0.3, 0.45, 0.6)
HUGE: Box = (0.30, 0.3, 0.60, 0.8)
LEFT: Box = (0.0, 0.3, 0.15, 0.6)


def look(*boxes: Box, picture: Image = VIEW, changed: Mask | None = None) -> Look:
    return Look(picture, boxes, changed)


@pytest.mark.parametrize(
    ("looks", "best"),
    [
        ([look(SMALL), look(LARGE), look(SMALL)], 1),
        ([look(LARGE), look(LARGE)], 0),
        ([look(SMALL), look(LARGE, picture=SOFT)], 1),  # 2.25 times as large
        ([look(LARGE), look(LARGE, picture=SOFT)], 0),
        ([look(LEFT), look(SMALL)], 0),  # 2.25 times as large
        ([look(LEFT), look(LARGE)], 1),
        ([look((0.2, 0.9, 0.4, 1.0)), look((0.2, 0.8, 0.35, 0.93))], 1),
        ([look(SMALL), look(SMALL, LARGE)], 1),
        ([look(), look(SMALL)], 1),
        ([look(), look()], 0),
    ],
)
def test_the_best_view_is_whole_sharp_and_large(looks: list[Look], best: int) -> None:
    assert best_view(looks, 0.6) == best


def test_what_stands_there_does_not_count_and_is_not_missed_where_it_is_not_found() -> None:
    changed = np.zeros((10, 18), np.bool_)
    changed[1, 1] = True
    comes: Box = (0.03, 0.06, 0.12, 0.2)
    assert best_view([look(comes, changed=changed), look(HUGE, changed=changed)], 0.6) == 0


def test_nothing_is_blurred_where_nobody_asks() -> None:
    assert best_view([look(SMALL), look(LARGE, picture=SOFT)], 0) == 1
    assert best_view([look(LARGE, picture=SOFT), look(LARGE)], 0) == 0
