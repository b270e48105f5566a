"""Takes a change of light and of white balance off two pictures that lie on each other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..arrays import Floats, Image, Mask, floats
from .cells import median

_BLOCK = 8
"""Pixels of a side of the blocks that the light is fitted on."""
LEAST_BLOCKS = 30
_CLIPPED = 6.0, 245.0
"""Grey levels beyond which light was cut off, so that a block says nothing of it."""
_GAINS = 0.6, 1.8
"""Factors on the light that two exposures of one scene may differ by."""
_CAST = 10.0
_CHROMA_GAINS = 0.6, 1.6
_CHROMA_OF_LUMA = 0.1
"""Largest colour cast (levels), factors on the colour, and colour per grey level, that a white
balance or a codec makes. A lamp or a cup that changes its colour is beyond them."""
_ROUNDING = 1.0
"""Levels of chroma that rounding and compression add to a block."""
_GREY = 2.5
"""Levels of chroma below which a picture is grey."""
_COLOURED = 75
"""Percentile of the chroma of a coloured picture that is above that: a grey view in which a lamp
goes on does not become another copy."""

_TONE, _BRIGHT = 6.5, 220.0
"""Levels of chroma that luma does not explain, in all but a twentieth of a picture of one tone; and
highest colour channel of a block in which no tone was cut off. Measured on 26 photographs: made
sepia 6.2 at most, with JPEG quality 60, and the 19 in colour 7.3 and more."""


def is_grey_copy(a: Floats, b: Floats) -> bool:
    """Tells whether one of two (n, 3) YCrCb samples is grey all over and the other one coloured."""
    coloured = [np.hypot(each[:, 1] - 128, each[:, 2] - 128) for each in (a, b)]
    return any(
        float(np.percentile(one, 98)) < _GREY < float(np.percentile(other, _COLOURED))
        for one, other in (coloured, coloured[::-1])
    )


def is_toned_copy(a: Floats, b: Floats) -> bool:
    """Tells whether one of two (n, 3) YCrCb samples has one tone, as sepia has, the other many.

    The samples are of the same places. A tone changes the colour of most of them; what has another
    colour in one place is another picture.
    """
    apart = a[:, 1:] - b[:, 1:]
    if float(np.median(np.hypot(apart[:, 0], apart[:, 1]))) <= _GREY:
        return False
    return any(
        not has_colours(one) and float(np.percentile(beyond_one_tone(other), _COLOURED)) > _GREY
        for one, other in ((a, b), (b, a))
    )


def has_colours(sample: Floats) -> bool:
    """Tells whether (n, 3) YCrCb samples have more than one tone."""
    return float(np.percentile(beyond_one_tone(sample), 95)) > _TONE


def beyond_one_tone(sample: Floats) -> Floats:
    """Returns the chroma of (n, 3) YCrCb samples that luma does not explain, (m,) levels.

    What is so bright that its tone may have been cut off is left out, if enough is left.
    """
    luma, red, blue = sample[:, 0], sample[:, 1] - 128, sample[:, 2] - 128
    brightest = luma + np.maximum(np.maximum(1.403 * red, 1.773 * blue), 0)  # ITU-R BT.601
    free = brightest < _BRIGHT
    if free.sum() < LEAST_BLOCKS:
        free[:] = True
    share = luma[free] / np.float32(255)
    terms = np.stack([np.ones_like(share), share, share * share], 1)
    chroma = np.stack([red[free], blue[free]], 1)
    left = chroma - terms @ np.linalg.lstsq(terms, chroma, rcond=None)[0]
    return np.asarray(np.hypot(left[:, 0], left[:, 1]), np.float32)


def lit_alike(a: Image, b: Image, sample_a: Floats, sample_b: Floats) -> tuple[Floats, Floats]:
    """Returns the (height, width) lumas of two pictures in the same light.

    The darker one is taken to the brighter, and cut off as that one is: light that was cut off
    cannot be had back. The samples are (n,) lumas of the same places in both.
    """
    dark, bright = _CLIPPED
    free = (np.maximum(sample_a, sample_b) < bright) & (np.minimum(sample_a, sample_b) > dark)
    if free.sum() < LEAST_BLOCKS:
        free[:] = True
    a_is_brighter = float(np.median((sample_a - sample_b)[free])) > 0
    of, to = (sample_b, sample_a) if a_is_brighter else (sample_a, sample_b)
    curve = _fitted(to[free], [of[free], of[free] ** 2 / np.float32(255)])
    slope = curve[1] + 2 * curve[2] * float(of.mean()) / 255
    least, most = _GAINS
    if not (least < slope < most and curve[1] > least / 2):
        curve = np.array([float(np.mean(to - of)), 1, 0], np.float32)

    levels = np.arange(256, dtype=np.float32)
    lit = np.clip(curve[0] + levels * (curve[1] + levels * (curve[2] / np.float32(255))), 0, 255)
    as_it_is = (levels, lit) if a_is_brighter else (lit, levels)
    one, other = (cv2.LUT(each, table) for each, table in zip((a, b), as_it_is, strict=True))
    return floats(one), floats(other)


def chroma_left(
    a: Sequence[Floats], b: Sequence[Floats], sample_a: Floats, sample_b: Floats
) -> tuple[Floats, Floats]:
    """Returns by how much Cr and Cb of two pictures differ, in levels.

    Each picture is given as Y, Cr and Cb, (height, width) each. What one white balance for all of
    the picture explains is taken off. The samples are (n, 3).
    """
    left = []
    for channel in (1, 2):
        # Of two colours, gain and luma explain the same: then the least change counts.
        cast, gain, of_luma = _fitted(
            sample_a[:, channel] - sample_b[:, channel],
            [sample_b[:, channel] - 128, sample_b[:, 0] - 128],
            noise=_ROUNDING,
        )
        gain = np.clip(1 + gain, *_CHROMA_GAINS)
        of_luma = np.clip(of_luma, -_CHROMA_OF_LUMA, _CHROMA_OF_LUMA)
        # What is left of 128 of each channel, and the cast.
        level = 128 - 128 * gain - 128 * of_luma + np.clip(cast, -_CAST, _CAST)
        explained = b[channel] * gain
        explained += b[0] * of_luma
        explained += level
        left.append(np.asarray(a[channel] - explained, np.float32))
    return left[0], left[1]


def _fitted(values: Floats, by: list[Floats], *, rounds: int = 3, noise: float = 0.0) -> Floats:
    """Returns offset and factors of a linear fit; values that stay far off are left out.

    `noise`: that of `by`, which keeps factors near 0 that nothing else tells. The normal equations
    take a third of the time that a decomposition of all terms does; in doubles, they lose nothing.
    """
    terms = np.stack([np.ones_like(values), *by], 1).astype(np.float64)
    ridge = np.diag([0.0, *[noise**2] * len(by)])
    counting: Mask = np.ones(len(values), np.bool_)
    found = np.zeros(terms.shape[1], np.float64)
    for _ in range(rounds):
        some = terms[counting]
        squares = some.T @ some + len(some) * ridge
        found = np.linalg.lstsq(squares, some.T @ values[counting], rcond=None)[0]
        off = np.abs(values - terms @ found)
        counting = off <= max(2.0, 2.5 * float(median(off)))
        if counting.sum() < 50:
            break
    return np.asarray(found, np.float32)


def block_size(width: int, height: int) -> tuple[int, int]:
    """Returns (width, height) of the samples of a picture."""
    return max(2, width // _BLOCK), max(2, height // _BLOCK)
