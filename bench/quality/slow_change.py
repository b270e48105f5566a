"""Change that takes minutes: each function draws one instance of a kind."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from days import Image
from people import Cutout, paste
from stage import NEARLY, Instance, Stage, glow, lit, mixed, progress


def dissolve(stage: Stage) -> Instance:
    """One view fades into another within 2 s to 10 min."""
    (a, b), takes = stage.views(2), stage.over(2, 600)
    end = 25 + takes
    states = [(0, 25, "before"), (end - 0.1 * takes, end + 25, "after")]
    return stage.made(
        lambda t: mixed(a, b, progress(t, 25, takes)),
        end + 25,
        states,
        3 if takes < 10 else 5,
        [(5, 24.5, "before"), (end + 6, end + 25, "after")],
    )


def fog(stage: Stage) -> Instance:
    """Fog comes, stays for 20 s and goes."""
    view, takes, thick = stage.view(), stage.over(20, 300), stage.between(0.7, 0.92)
    grey = np.full_like(view, round(stage.between(150, 215)))

    def draw(t: float) -> Image:
        share = progress(t, 20, takes) - progress(t, 40 + takes, takes)
        soft = cv2.GaussianBlur(view, (0, 0), 0.1 + 2 * share)
        return mixed(np.asarray(soft, np.uint8), grey, thick * share)

    gone = 40 + 2 * takes
    states = [(0, 20, "clear"), (20 + 0.75 * takes, 40 + 1.25 * takes, "fog")]
    nothing = [(5, 20, "clear"), (gone, gone + 20, "clear again")]
    return stage.made(draw, gone + 20, states, 6, nothing)


def dusk(stage: Stage) -> Instance:
    """It gets dark or light within minutes; lamps go on as it gets dark."""
    view, takes, dark = stage.view(), stage.over(60, 600), stage.between(0.08, 0.25)
    dawn = bool(stage.rng.integers(2))
    lamps = sum(
        glow(stage, *stage.place(2, 2), stage.height * stage.between(0.06, 0.15))
        for _ in range(stage.any(2, 3, 4))
    ) * np.array((90, 170, 220), np.float32)
    on_at = stage.between(0.6, 0.8)
    blue = np.array((1.0, 0.85, 0.75), np.float32)

    def draw(t: float) -> Image:
        share = progress(t, 20, takes)
        share = 1 - share if dawn else share
        tint = 1 + (blue - 1) * np.float32(share)
        image = view * tint * np.float32(1 - (1 - dark) * share)
        return np.asarray(np.clip(image + lamps * (share >= on_at), 0, 255), np.uint8)

    names = ("night", "day") if dawn else ("day", "night")
    # Somebody sees an afternoon as day; the night has to be dark.
    first, last = (0.15 * takes, 0.25 * takes) if dawn else (0.25 * takes, 0.15 * takes)
    end = 20 + takes
    states = [(0, 20 + first, names[0]), (end - last, end + 20, names[1])]
    return stage.made(draw, end + 20, states, 6, [(5, 20, names[0]), (end + 8, end + 20, names[1])])


def growth(stage: Stage) -> Instance:
    """A tower, a plant or a heap grows in many small steps to a good part of the picture."""
    view, takes, steps = stage.view(), stage.over(60, 600), stage.any(8, 14, 24, 40)
    tall = round(stage.height * stage.between(0.45, 0.75))
    wide = round(stage.width * stage.between(0.08, 0.2))
    x, foot = stage.place(wide, 4)[0], stage.height - stage.any(4, 20, 40)
    what = ("tower", "plant", "heap")[stage.any(0, 1, 2)]
    skin = stage.thing(view, x, foot - tall, wide, tall).picture
    alpha = np.zeros((tall, wide), np.float32)
    if what == "tower":
        alpha[:] = 1
        for row in range(6, tall - 8, 16):
            for column in range(5, wide - 8, 14):
                cv2.rectangle(skin, (column, row), (column + 7, row + 9), (60, 50, 40), -1)
    elif what == "plant":
        cv2.line(alpha, (wide // 2, tall), (wide // 2, 4), 1.0, max(3, wide // 12))
        for n, y in enumerate(range(tall - 8, 8, -max(6, tall // 14))):
            side = wide // 4 if n % 2 else -(wide // 4)
            cv2.ellipse(alpha, (wide // 2 + side, y), (wide // 4, 7), 0, 0, 360, 1.0, -1)
        skin[:] = lit(skin, np.array((0.5, 1.0, 0.5), np.float32))
    else:
        slope = np.array([(0, tall), (wide // 2, 0), (wide, tall)], np.int32)
        cv2.fillPoly(alpha, [slope], 1.0)

    def draw(t: float) -> Image:
        image = view.copy()
        now = round(tall * np.floor(progress(t, 20, takes) * steps) / steps)
        if now > 2 and what == "heap":
            share = now / tall
            paste(
                image, Cutout(skin, alpha).sized(now), round(x + wide * (1 - share) / 2), foot - now
            )
        elif now > 2:
            paste(image, Cutout(skin[tall - now :], alpha[tall - now :]), x, foot - now)
        return image

    end = 20 + takes
    states = [(0, 20, "nothing yet"), (20 + 0.42 * takes, 20 + 0.65 * takes, f"half of the {what}")]
    states.append((20 + 0.9 * takes, end + 25, f"the {what}"))
    return stage.made(
        draw, end + 25, states, 9, [(5, 20, "nothing yet"), (end + 8, end + 25, what)]
    )


def _moving(stage: Stage, axis: int, share: float) -> Instance:
    large, takes = stage.view(2.0), stage.over(20, 600)
    way = share * (stage.width, stage.height)[axis]
    back = bool(stage.rng.integers(2))
    low = stage.between(0, 0.99 * (large.shape[1 - axis] - (stage.width, stage.height)[axis] - way))
    other = stage.between(0, (stage.height, stage.width)[axis] * 0.9)

    def draw(t: float) -> Image:
        done = progress(t, 15, takes)
        at = low + way * (1 - done if back else done)
        left, top = (at, other) if axis == 0 else (other, at)
        turn = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
        return np.asarray(cv2.warpAffine(large, turn, (stage.width, stage.height)), np.uint8)

    end, near = 15 + takes, NEARLY * takes / share
    states = [(0, 15 + near, "start"), (15 + 0.4 * takes, 15 + 0.6 * takes, "middle")]
    states.append((end - near, end + 15, "end"))
    return stage.made(draw, end + 15, states, round(3 + 8 * share), [(5, 15, "start")])


def pan(stage: Stage) -> Instance:
    """The camera turns by the width of the picture within 20 s to 10 min."""
    return _moving(stage, 0, 0.98)


def tilt(stage: Stage) -> Instance:
    """The camera tilts by a good half to the whole height of the picture."""
    return _moving(stage, 1, stage.between(0.6, 0.95))


def zoom(stage: Stage) -> Instance:
    """The camera zooms in or out by a factor of 2 to 4 within 20 s to 5 min."""
    large, takes, factor = stage.view(2.0), stage.over(20, 300), stage.between(2, 4)
    out = bool(stage.rng.integers(2))
    centre = (stage.width * stage.between(0.7, 1.3), stage.height * stage.between(0.7, 1.3))

    def draw(t: float) -> Image:
        share = progress(t, 15, takes)
        scale = 2.0 * factor ** -(1 - share if out else share)
        wide, high = stage.width * scale, stage.height * scale
        left = float(np.clip(centre[0] - wide / 2, 0, 2 * stage.width - wide))
        top = float(np.clip(centre[1] - high / 2, 0, 2 * stage.height - high))
        turn = np.array([[1 / scale, 0, -left / scale], [0, 1 / scale, -top / scale]], np.float32)
        size = (stage.width, stage.height)
        soft = cv2.GaussianBlur(large, (0, 0), max(0.01, 0.4 * (scale - 0.9)))
        return np.asarray(cv2.warpAffine(soft, turn, size), np.uint8)

    end = 15 + takes
    states = [(0, 15, "start"), (15 + 0.35 * takes, 15 + 0.65 * takes, "middle")]
    states.append((end - 0.1 * takes, end + 15, "end"))
    return stage.made(draw, end + 15, states, 9, [(5, 15, "start"), (end + 8, end + 15, "end")])


def tide(stage: Stage) -> Instance:
    """Water, or what fills a bin, rises in front of the view."""
    view, takes = stage.view(), stage.over(30, 600)
    low, high = stage.between(0.04, 0.15), stage.between(0.4, 0.6)
    water = lit(stage.view(), np.array((0.9, 0.7, 0.5), np.float32))
    water = np.asarray(cv2.GaussianBlur(water, (0, 0), stage.between(0.5, 4)), np.uint8)
    if np.abs(water.mean(2) - view.mean(2)).mean() < 30:
        water = lit(water, 0.4 if view.mean() > 110 else 2.2)

    def draw(t: float) -> Image:
        image = view.copy()
        level = low + (high - low) * progress(t, 20, takes)
        top = round(stage.height * (1 - level) + 1.5 * np.sin(2 * t))
        image[top:] = water[top:]
        return image

    end = 20 + takes
    states = [(0, 20 + 0.1 * takes, "low"), (end - 0.1 * takes, end + 20, "high")]
    return stage.made(draw, end + 20, states, 8, [(5, 20, "low"), (end + 8, end + 20, "high")])


def fade(stage: Stage) -> Instance:
    """Things fade in, one after the other, each within 1 s to 5 min, and stay."""
    view, at, shown = stage.view(), 15.0, []
    taken = np.zeros((stage.height, stage.width), np.bool_)
    states = [(0.0, 15.0, "without")]
    count = stage.any(1, 2, 3)
    for _ in range(count):
        takes = stage.over(1, 300 / count)
        wide = round(stage.width * stage.between(0.05, 0.2))
        tall = round(stage.height * stage.between(0.1, 0.3))
        x, y = stage.place(wide, tall)
        while taken[y : y + tall, x : x + wide].any():
            x, y = stage.place(wide, tall)
        taken[y : y + tall, x : x + wide] = True
        shown.append((at, takes, stage.thing(view, x, y, wide, tall), x, y))
        at += takes + 15
    for number, (began, takes, *_) in enumerate(shown, 1):
        states.append((began + 0.8 * takes, at, f"thing {number}"))

    def draw(t: float) -> Image:
        image = view.copy()
        for began, takes, thing, x, y in shown:
            if t > began:
                paste(image, replace(thing, alpha=thing.alpha * progress(t, began, takes)), x, y)
        return image

    nothing = [(5.0, 15.0, "without"), *((a + b + 6, a + b + 15, "it stays") for a, b, *_ in shown)]
    return stage.made(draw, at, states, 1 + 2 * count, nothing)


def shadow(stage: Stage) -> Instance:
    """A shadow with a soft edge wanders over the view."""
    view, takes, dark = stage.view(), stage.over(60, 600), stage.between(0.25, 0.5)
    wide, slope = stage.width * stage.between(0.15, 0.4), stage.between(-0.6, 0.6)
    soft = stage.between(4, 20)
    down, across = np.mgrid[0 : stage.height, 0 : stage.width].astype(np.float32)

    def draw(t: float) -> Image:
        x = -wide + (stage.width + 2 * wide) * progress(t, 10, takes) + slope * (down - down.mean())
        edge = np.clip((np.abs(across - x) - wide / 2) / soft, -50, 50)
        inside = np.asarray(1 / (1 + np.exp(edge)), np.float32)
        return lit(view, 1 - np.float32(dark) * inside[..., None])

    return stage.made(draw, takes + 20, [(0, 10, "the view")], 4)
