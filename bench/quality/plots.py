"""Draws what was measured: one plot for each part, and contact sheets of what was kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from methods import Kept, Looks

from labels import Labelled

Curves = dict[str, list[tuple[float, float]]]
"""(x, y) points of each line by its name."""


def drawn(path: Path, draw: Callable[[Any], None]) -> None:
    """Lets `draw` fill the axes of one figure and writes it. Without matplotlib: says so."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("no plot: matplotlib is not installed (pip install 'stillsift[bench]')")
        return
    figure, axes = pyplot.subplots(figsize=(8, 5))
    draw(axes)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def lines(path: Path, curves: Curves, x: str, y: str, *, log: bool = False) -> None:
    """A line for each name; a star where there is one point only."""

    def draw(axes: Any) -> None:
        for name, points in ((name, some) for name, some in curves.items() if some):
            across, up = zip(*points, strict=True)
            star = len(points) == 1
            axes.plot(across, up, "*" if star else "o-", markersize=14 if star else 4, label=name)
        if log:
            axes.set_xscale("log")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.legend()

    drawn(path, draw)


def bars(path: Path, names: Sequence[str], heights: dict[str, Sequence[float]], y: str) -> None:
    """A group of bars for each name, one bar of it for each key of `heights`."""

    def draw(axes: Any) -> None:
        width = 0.8 / len(heights)
        for i, (label, values) in enumerate(heights.items()):
            axes.bar(np.arange(len(names)) + i * width, values, width, label=label)
        axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2)
        axes.set_xticklabels(names, rotation=60, ha="right", fontsize=8)
        axes.set_ylim(0, max(1.0, 1.05 * max(max(values) for values in heights.values())))
        axes.set_ylabel(y)
        axes.legend()

    drawn(path, draw)


def sheet(path: Path, clip: Labelled, kept: list[Kept], looks: Looks) -> None:
    """What was kept, with frame numbers; green inside an event, red where nothing happens."""
    place = {frame: i for i, frame in enumerate(looks.frames)}
    tiles = []
    for k in kept[:120]:
        tile = looks.pictures[place[k.frame]].copy()
        good = any(event.holds(k.frame) for event in clip.events)
        bad = any(span.holds(k.frame) for span in clip.nothing) and not good
        colour = (0, 220, 0) if good else (0, 0, 255) if bad else (255, 255, 255)
        cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), colour, 2)
        text = f"{k.frame}{' blurred' if k.marked else ''}"
        cv2.putText(tile, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3)
        cv2.putText(tile, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
        tiles.append(tile)
    if not tiles:
        return
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 8)
    rows = [np.concatenate(tiles[i : i + 8], 1) for i in range(0, len(tiles), 8)]
    cv2.imwrite(str(path), np.concatenate(rows, 0))
