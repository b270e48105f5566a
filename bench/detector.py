"""A small detector, trained from nothing: a heat for the middle of each thing, and its box there.

Objects as points (Zhou et al. 2019, https://arxiv.org/abs/1904.07850) with four convolutions of
24 and 48 channels, on pictures of 256 x 144. It has seen no other picture before, and shares
nothing with the network that stillsift looks with.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from days import HEIGHT, WIDTH, Image
from numpy.typing import NDArray
from torch import Tensor, nn

from crossings import CLASSES, Box

SIZE = (256, 144)
"""Width and height of what the network is shown."""
STRIDE = 8
CROP, BATCH = 80, 12
"""It is trained on squares of so many pixels, so many at once."""
TOLD = 20
"""Most things that are told of one picture."""
OVERLAP = 0.5
"""A detection is right if intersection over union with a thing of its kind is that much."""
SCALE = np.array([SIZE[0] / WIDTH, SIZE[1] / HEIGHT] * 2)

Labelled = tuple[Image, list[Box]]
"""A picture of SIZE, BGR, and what is in it, in pixels of the clip."""
Found = tuple[int, int, float, NDArray[np.float64]]
"""Picture, kind, score, and left, top, right, bottom in pixels of SIZE."""


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def block(before: int, after: int, size: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(before, after, size, stride, 1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))

        self.trunk = nn.Sequential(
            block(3, 24, 6, 4), block(24, 48, 3, 2), block(48, 48, 3, 1), block(48, 48, 3, 1)
        )
        self.head = nn.Conv2d(48, len(CLASSES) + 4, 1)
        nn.init.constant_(self.head.bias, 0.0)
        nn.init.constant_(self.head.bias[: len(CLASSES)], -4.0)

    def forward(self, pictures: Tensor) -> Tensor:
        """Takes (n, 3, height, width), 0 to 1; gives (n, kinds + 4, height / 8, width / 8)."""
        told: Tensor = self.head(self.trunk(pictures - 0.45))
        return told


def _targets(rows: Sequence[list[NDArray[np.float64]]]) -> tuple[Tensor, Tensor, Tensor]:
    """Heat (n, kinds, 10, 10), boxes (n, 4, 10, 10) and where there is one (n, 1, 10, 10)."""
    side = CROP // STRIDE
    heat = np.zeros((len(rows), len(CLASSES), side, side), np.float32)
    boxes = np.zeros((len(rows), 4, side, side), np.float32)
    there = np.zeros((len(rows), 1, side, side), np.float32)
    down, across = np.mgrid[0:side, 0:side]
    for n, row in enumerate(rows):
        for kind, left, top, right, bottom in row:
            x, y = (left + right) / 2 / STRIDE, (top + bottom) / 2 / STRIDE
            if not (0 <= x < side and 0 <= y < side):
                continue
            i, j = int(y), int(x)
            near = np.exp(-((down - i) ** 2 + (across - j) ** 2) / 2 / 0.7**2)
            heat[n, int(kind)] = np.maximum(heat[n, int(kind)], near)
            size = np.log(max(right - left, 1) / STRIDE), np.log(max(bottom - top, 1) / STRIDE)
            boxes[n, :, i, j] = x - j - 0.5, y - i - 0.5, *size
            there[n, 0, i, j] = 1
    return torch.from_numpy(heat), torch.from_numpy(boxes), torch.from_numpy(there)


def _loss(told: Tensor, heat: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
    logits = told[:, : len(CLASSES)]
    share, middle = torch.sigmoid(logits), heat.eq(1).float()
    yes = middle * (1 - share) ** 2 * nn.functional.logsigmoid(logits)
    no = (1 - middle) * (1 - heat) ** 4 * share**2 * nn.functional.logsigmoid(-logits)
    off = (told[:, len(CLASSES) :] - boxes).abs() * there
    return (off.sum() - yes.sum() - no.sum()) / middle.sum().clamp(min=1)


def trained(some: Sequence[Labelled], steps: int, seed: int) -> Detector:
    """Trains on squares cut from some frames, half of each batch about a thing, half anywhere."""
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), Detector().train()
    net = net.to(memory_format=torch.channels_last)
    best = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    pace = torch.optim.lr_scheduler.OneCycleLR(best, 3e-3, steps)
    places = [(n, _row(box)) for n, (_, boxes) in enumerate(some) for box in boxes]
    room = np.array(SIZE) - CROP
    for _ in range(steps):
        pictures, rows = [], []
        for turn in range(BATCH):
            n, corner = int(rng.integers(len(some))), rng.uniform(0, room)
            if turn % 2 and places:
                n, (_, left, top, right, bottom) = places[int(rng.integers(len(places)))]
                middle = np.array([left + right, top + bottom]) / 2
                corner = np.clip(middle - rng.uniform(0.1, 0.9, 2) * CROP, 0, room)
            x, y = (int(v) for v in corner)
            seen = some[n][0][y : y + CROP, x : x + CROP].astype(np.float32)
            seen = np.clip(seen * rng.uniform(0.7, 1.3) + rng.uniform(-20, 20), 0, 255)
            row = [_row(box) - (0, x, y, x, y) for box in some[n][1]]
            if rng.integers(2):
                seen = seen[:, ::-1]
                row = [np.array([r[0], CROP - r[3], r[2], CROP - r[1], r[4]]) for r in row]
            pictures.append(seen.astype(np.float32))
            rows.append(row)
        best.zero_grad()
        _loss(net(_batch(pictures)), *_targets(rows)).backward()
        best.step()
        pace.step()
    return net.eval()


def _row(box: Box) -> NDArray[np.float64]:
    """Kind, left, top, right, bottom in pixels of SIZE."""
    sides = np.array([box.left, box.top, box.right, box.bottom]) * SCALE
    return np.array([box.kind, *sides])


def _batch(pictures: Sequence[NDArray[np.float32]]) -> Tensor:
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    return batch.contiguous(memory_format=torch.channels_last)


def found(net: Detector, pictures: Sequence[Image]) -> list[Found]:
    """What the network finds in pictures, whatever its score."""
    some: list[Found] = []
    for first in range(0, len(pictures), 32):
        batch = [picture.astype(np.float32) for picture in pictures[first : first + 32]]
        with torch.no_grad():
            told = net(_batch(batch))
        share = torch.sigmoid(told[:, : len(CLASSES)])
        share = share * share.eq(nn.functional.max_pool2d(share, 3, 1, 1))
        scores, places = share.flatten(1).topk(TOLD)
        boxes = told[:, len(CLASSES) :].numpy()
        for n in range(len(batch)):
            for score, place in zip(scores[n].tolist(), places[n].tolist(), strict=True):
                kind, i, j = (int(v) for v in np.unravel_index(place, share.shape[1:]))
                dx, dy, wide, high = boxes[n, :, i, j]
                middle = np.array([j + 0.5 + dx, i + 0.5 + dy])
                half = np.exp(np.clip([wide, high], -3, 4)) / 2
                box = np.concatenate([middle - half, middle + half]) * STRIDE
                box = np.clip(box, 0, [*SIZE, *SIZE])
                some.append((first + n, kind, score, box))
    return some


def average_precision(some: Sequence[Found], truth: Sequence[list[Box]]) -> list[float]:
    """Average precision of each class: the area below precision, made monotone, over recall."""
    rows = [[_row(box) for box in boxes] for boxes in truth]
    result = []
    for kind in range(len(CLASSES)):
        left = [[row[1:] for row in each if row[0] == kind] for each in rows]
        total, right = sum(map(len, left)), []
        for n, _, _, box in sorted((f for f in some if f[1] == kind), key=lambda f: -f[2]):
            overlaps = [_overlap(box, other) for other in left[n]]
            hit = max(overlaps, default=0.0) >= OVERLAP
            if hit:
                left[n].pop(int(np.argmax(overlaps)))
            right.append(hit)
        count = np.cumsum(right)
        precision = np.maximum.accumulate((count / np.arange(1, len(right) + 1))[::-1])[::-1]
        result.append(float(np.sum(precision[np.array(right, bool)]) / max(total, 1)))
    return result


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    inside = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    both = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside
    return float(inside / max(both, 1e-9))


def small(picture: Image) -> Image:
    return np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
