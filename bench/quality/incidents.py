"""What happens within seconds, and what goes on all the time: each function draws one instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from days import Image, Weather
from numpy.typing import NDArray
from people import Cutout, paste
from slides import Slides, in_turn
from stage import SIZES, Draw, Instance, Stage, Timed, glow, lit, mixed, progress

# -- things of one moment --------------------------------------------------------------------------


def moment(stage: Stage) -> Instance:
    """Two or three things within a second, near or far; one leaves before the next is whole."""
    view, rate, at = stage.view(), float(stage.any(5, 10, 25)), 10.0
    shown: list[tuple[float, float, float, Cutout, int, int]] = []
    states, nothing, most = [(0.0, 10.0, "empty")], [(5.0, 10.0, "empty")], 1
    for _ in range(3):
        near, count = bool(stage.rng.integers(2)), stage.any(2, 2, 3)
        wide = round(stage.width * stage.between(0.07, 0.16))
        tall = round(stage.height * stage.between(0.14, 0.3))
        span = 0.14 if near else 0.28
        step = max(round(stage.width * span), wide + 4) if near else round(stage.width * span)
        left = int(stage.rng.integers(2, stage.width - step * (count - 1) - wide - 2))
        y = stage.place(wide, tall)[1]
        for number in range(count):
            apart = stage.between(0.45, 0.8)
            comes = 0.3 if number else 0.0
            x = left + number * step
            stays = apart + 0.05 if number < count - 1 else stage.between(1.0, 4.0)
            began = at if number == 0 else at - 0.25
            leaves = at + comes + stays
            thing = stage.thing(view, x, y, wide, tall)
            shown.append((began, at + comes, leaves, thing, x, y))
            whole = at + 0.8 * comes
            states.append((whole, leaves - 0.02, f"{count} {'near' if near else 'far'}"))
            at = leaves
        most += count + 1
        nothing.append((at + 2, at + 9, "empty again"))
        at += 9

    def draw(t: float) -> Image:
        image = view.copy()
        for began, whole, leaves, thing, x, y in shown:
            if began <= t < leaves:
                part = 1.0 if whole <= began else progress(t, began - 0.05, whole - began + 0.05)
                seen = max(2, round(thing.alpha.shape[1] * part))
                paste(image, Cutout(thing.picture[:, :seen], thing.alpha[:, :seen]), x, y)
        return image

    return stage.made(draw, at, states, most, nothing, rate)


# -- one after another -----------------------------------------------------------------------------


def _follow(stage: Stage, ground: Image, some: list[Cutout], tall: float, wide: bool) -> Instance:
    same = some[int(stage.rng.integers(len(some)))]
    if stage.rng.integers(2):
        same = same.flipped()
    ground = np.asarray(cv2.resize(ground, (stage.width, stage.height)), np.uint8)
    at, walks, states, count = 12.0, [], [(0.0, 11.5, "empty")], stage.any(4, 5, 6)
    takes, path = stage.between(3, 7), stage.between(0.35, 0.7) * stage.height
    right = bool(stage.rng.integers(2))
    for number in range(count):
        each = same.sized(tall * stage.between(0.95, 1.05))
        walks.append((at, each, path + stage.between(-4, 4)))
        size = each.alpha.shape[1]
        whole = takes * size / (stage.width + size)
        states.append((at + whole, at + takes - whole, f"number {number + 1}"))
        at += stage.between(2, 12)
    end = walks[-1][0] + takes

    def draw(t: float) -> Image:
        image = ground.copy()
        for began, each, y in walks:
            share = (t - began) / takes
            if 0 <= share <= 1:
                size = each.alpha.shape
                x = -size[1] + (stage.width + size[1]) * (share if right else 1 - share)
                if wide:
                    paste(image, each, round(x), round(y - size[0] / 2))
                else:
                    paste(image, each, round(x), round(y - size[0] / 2 + 1.5 * np.sin(8 * t)))
        return image

    nothing = [(5.0, 11.5, "empty"), (end + 3, end + 12, "empty again")]
    return stage.made(draw, end + 12, states, 1 + 2 * count, nothing, 5.0)


def people(stage: Stage) -> Instance:
    """People who look alike follow each other the same way within 2 to 12 s."""
    tall = stage.height * stage.between(0.18, 0.4)
    return _follow(stage, stage.places.street, stage.places.people, tall, False)


def cars(stage: Stage) -> Instance:
    """Cars that look alike follow each other the same way within 2 to 12 s."""
    tall = stage.height * stage.between(0.15, 0.3)
    return _follow(stage, stage.places.road, stage.places.cars, tall, True)


# -- colour ----------------------------------------------------------------------------------------


def _hues(stage: Stage, count: int) -> list[tuple[int, int, int]]:
    """Returns BGR colours of one luma, 50 levels of chroma or more apart from the one before."""
    luma, chroma = stage.between(105, 140), stage.between(45, 75)
    turn = stage.between(0, 6.28)
    found = []
    for number in range(count):
        angle = turn + 2.4 * number
        ycc = np.array([[[luma, 128 + chroma * np.cos(angle), 128 + chroma * np.sin(angle)]]])
        bgr = cv2.cvtColor(np.asarray(ycc.round(), np.uint8), cv2.COLOR_YCrCb2BGR)[0, 0]
        found.append((int(bgr[0]), int(bgr[1]), int(bgr[2])))
    return found


def lamp(stage: Stage) -> Instance:
    """A lamp, from an LED to a large screen, changes its colour at equal luma."""
    view, count = stage.view(), stage.any(3, 4, 5)
    radius = round(stage.height * stage.over(0.02, 0.15))
    x, y = stage.place(2 * radius, 2 * radius)
    hues, stays = _hues(stage, count), [stage.between(3, 6) for _ in range(count)]
    ends = np.cumsum(stays)

    def draw(t: float) -> Image:
        image = view.copy()
        cv2.circle(image, (x + radius, y + radius), radius + 2, (30, 30, 30), -1, cv2.LINE_AA)
        hue = hues[min(int(np.searchsorted(ends, t, side="right")), count - 1)]
        cv2.circle(image, (x + radius, y + radius), radius, hue, -1, cv2.LINE_AA)
        return image

    states = in_turn(stays, [f"colour {n + 1}" for n in range(count)])
    return stage.made(draw, float(ends[-1]), states, count + 1, None, 5.0)


def traffic(stage: Stage) -> Instance:
    """A traffic light: red, green, amber, and the same again."""
    view, radius = stage.view(), round(stage.height * stage.over(0.02, 0.08))
    x, y = stage.place(4 * radius, 9 * radius)
    colours = [(40, 40, 230), (60, 200, 60), (40, 170, 240)] * 2
    places = [0, 2, 1] * 2
    stays = [stage.between(4, 7), stage.between(4, 7), 3.0] * 2
    ends = np.cumsum(stays)

    def draw(t: float) -> Image:
        image = view.copy()
        cv2.rectangle(image, (x, y), (x + 4 * radius, y + 9 * radius), (25, 25, 25), -1)
        now = min(int(np.searchsorted(ends, t, side="right")), 5)
        for place in range(3):
            centre = (x + 2 * radius, y + round((1.6 + 2.9 * place) * radius))
            colour = colours[now] if places[now] == place else (60, 60, 60)
            cv2.circle(image, centre, round(1.2 * radius), colour, -1, cv2.LINE_AA)
        return image

    states = in_turn(stays[:3], ["red", "green", "amber"])
    again = [(float(ends[2]) + 0.5, float(ends[-1]), "the same again")]
    return stage.made(draw, float(ends[-1]), states, 4, again, 5.0)


def swap(stage: Stage) -> Instance:
    """A thing is replaced by the same thing of another colour, at once or after a pause."""
    view, count = stage.view(), stage.any(3, 4)
    wide = round(stage.width * stage.over(0.05, 0.3))
    tall = round(min(stage.height * 0.8, wide * stage.between(0.7, 1.3)))
    x, y = stage.place(wide, tall)
    pause = 0.0 if stage.rng.integers(2) else stage.between(1, 3)
    thing = stage.thing(view, x, y, wide, tall)
    luma = cv2.cvtColor(thing.picture, cv2.COLOR_BGR2YCrCb)
    luma[..., 0] = 70 + luma[..., 0] // 3
    skins = []
    for hue in _hues(stage, count):
        tint = cv2.cvtColor(np.full((1, 1, 3), hue, np.uint8), cv2.COLOR_BGR2YCrCb)[0, 0]
        luma[..., 1:] = tint[1:]
        skins.append(np.asarray(cv2.cvtColor(luma, cv2.COLOR_YCrCb2BGR), np.uint8))
    each = stage.between(4, 7) + pause

    def draw(t: float) -> Image:
        image, (number, since) = view.copy(), divmod(t - 5, each)
        if t >= 5 and since < each - pause:
            paste(image, Cutout(skins[min(int(number), count - 1)], thing.alpha), x, y)
        return image

    states = [(0.0, 4.9, "without")]
    for n in range(count):
        states.append((5 + n * each, 5 + (n + 1) * each - pause - 0.01, f"colour {n + 1}"))
    return stage.made(draw, 5 + count * each - pause - 0.05, states, count + 2, None, 5.0)


# -- light -----------------------------------------------------------------------------------------


def switch(stage: Stage) -> Instance:
    """The light of a room goes off, on, off and on."""
    view, dark = stage.view(), stage.between(0.12, 0.3)
    tint = np.array((1.1, 0.95, 0.85), np.float32) * np.float32(dark)
    dim = np.asarray(lit(view, tint), np.uint8)
    states = [(0.0, 11.9, "lit"), (12, 23.9, "dark")]
    nothing = [(5.0, 11.9, "lit"), (16, 23.9, "dark"), (24.1, 48, "both again")]
    return stage.made(lambda t: dim if int(t / 12) % 2 else view, 48, states, 4, nothing)


def infrared(stage: Stage) -> Instance:
    """A camera switches to infrared: grey, other light, more noise. Somebody passes in it."""
    view = stage.view()
    grey = cv2.cvtColor(view, cv2.COLOR_BGR2GRAY)
    lamp_light = 0.35 + 0.75 * glow(stage, stage.width / 2, stage.height / 2, stage.width * 0.4)
    night = lit(np.repeat(grey[..., None], 3, 2), lamp_light)
    somebody = stage.places.people[int(stage.rng.integers(len(stage.places.people)))]
    somebody = somebody.sized(stage.height * stage.between(0.4, 0.6))
    pale = cv2.cvtColor(somebody.picture, cv2.COLOR_BGR2GRAY)[..., None] // 4 + 120
    bright = Cutout(np.repeat(pale, 3, 2), somebody.alpha)
    rng = np.random.default_rng(stage.seed)

    def draw(t: float) -> Image:
        if not 15 <= t < 45:
            return view
        image = night.copy()
        if 30 <= t < 36:
            x = -40 + (stage.width + 80) * (t - 30) / 6
            paste(image, bright, round(x), round(stage.height * 0.35))
        field = rng.normal(0, 6, image.shape[:2])[..., None]
        return np.asarray(np.clip(image + field, 0, 255), np.uint8)

    states = [(0.0, 14.9, "by day"), (15, 29.9, "infrared"), (30.4, 34.8, "somebody")]
    nothing = [(5.0, 14.9, "by day"), (21, 29.5, "infrared"), (38, 44, "infrared")]
    return stage.made(draw, 58, states, 6, [*nothing, (45.1, 58, "by day again")], 5.0)


def flash(stage: Stage) -> Instance:
    """Lightning or a camera's flash, of one to three frames, now and then: no news."""
    view, level = stage.view(), stage.between(40, 140)
    struck = [10 + 7 * n + stage.between(0, 3) for n in range(5)]
    lasts = stage.between(0.08, 0.35)

    def draw(t: float) -> Image:
        if any(at <= t < at + lasts for at in struck):
            return np.asarray(np.clip(view * 1.25 + level, 0, 255), np.uint8)
        return view

    return stage.made(draw, 48, [(0, 10, "the view")], 2, [(2, 48, "flashes")], 5.0)


def cloud(stage: Stage) -> Instance:
    """The sun goes behind clouds and comes out again: no news."""
    view, dark, takes = stage.view(), stage.between(0.55, 0.8), stage.between(1.5, 8)
    cool = np.array((1.06, 1.0, 0.95), np.float32) * np.float32(dark)

    def draw(t: float) -> Image:
        share = sum(progress(t, b, takes) - progress(t, b + 12, takes) for b in (12, 42))
        return lit(view, 1 + (cool - 1) * np.float32(share))

    return stage.made(draw, 72, [(0, 12, "sun")], 2, [(5, 72, "clouds")], 2.0)


def headlights(stage: Stage) -> Instance:
    """The light of cars that pass outside sweeps over a dark view: no news."""
    view = lit(stage.view(), stage.between(0.2, 0.4))
    radius, rise = stage.width * stage.between(0.1, 0.2), stage.between(0.3, 0.7)
    passes = [10 + 9 * n for n in range(4)]
    takes = stage.between(1, 3)

    def draw(t: float) -> Image:
        light: NDArray[Any] | float = 1.0
        for began in passes:
            share = (t - began) / takes
            if 0 <= share <= 1:
                x = stage.width * (1.4 * share - 0.2)
                light = 1 + 2.5 * glow(stage, x, stage.height * rise, radius)
        return lit(view, light)

    nothing = [(began - 4.0, began - 0.1, "dark again") for began in [*passes, 48]]
    return stage.made(draw, 48, [(0, 10, "the view")], 3, nothing, 5.0)


def refocus(stage: Stage) -> Instance:
    """After a change of view the picture is blurred for a while, until the camera has focused."""
    views, soft = stage.views(3), [stage.between(0.6, 3) for _ in range(3)]
    depth = stage.between(3, 7) * stage.height / 360

    def draw(t: float) -> Image:
        number = min(int(t / 12), 2)
        left = 1 - progress(t - 12 * number, 0, soft[number]) if number else 0.0
        sigma = 0.01 + depth * left
        return np.asarray(cv2.GaussianBlur(views[number], (0, 0), sigma), np.uint8)

    states = [(0.0, 11.9, "view 1")]
    states += [(12 * n + 0.9 * soft[n], 12 * n + 11.9, f"view {n + 1}") for n in (1, 2)]
    nothing = [(5.0, 11.9, "view 1")]
    nothing += [(12 * n + 0.1, 12 * n + 0.7 * soft[n], "blurred") for n in (1, 2)]
    return stage.made(draw, 36, states, 4, nothing, 5.0)


# -- what moves all the time -----------------------------------------------------------------------


def _with_thing(stage: Stage, view: Image) -> tuple[Draw, list[Timed], list[Timed], int]:
    """The view for 60 s; from 30 s on, in every other instance, with something left in it."""
    left = stage.rng.integers(2)
    wide, tall = round(stage.width * 0.09), round(stage.height * 0.15)
    x, y = stage.place(wide, tall)
    whole = view.copy()
    paste(whole, stage.thing(view, x, y, wide, tall), x, y)
    if not left:
        return lambda _: view, [(0.0, 60.0, "the view")], [(5.0, 60.0, "nothing")], 2
    states = [(0.0, 29.9, "the view"), (30.0, 60.0, "something left")]
    nothing = [(5.0, 29.9, "nothing"), (40.0, 60.0, "it lies there")]
    return lambda t: whole if t >= 30 else view, states, nothing, 3


def shake(stage: Stage) -> Instance:
    """The camera trembles by a pixel or two; something is left behind, or nothing is."""
    draw, states, nothing, most = _with_thing(stage, stage.view())
    rng, by = np.random.default_rng(stage.seed), stage.between(0.6, 1.2)
    sways = bool(stage.rng.integers(2))

    def shaken(t: float) -> Image:
        dx, dy = np.clip(rng.normal(0, by, 2), -2, 2)
        if sways:
            dx, dy = 2 * np.sin(2.9 * t) * np.sin(t / 9), 0.5 * np.sin(2.1 * t)
        turn = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        size = (stage.width, stage.height)
        moved = cv2.warpAffine(draw(t), turn, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    return stage.made(shaken, 60, states, most, nothing, 5.0)


def _weathered(stage: Stage, dress: Callable[[Weather, Image, float], Image]) -> Instance:
    stage.width, stage.height = SIZES[0]
    weather = Weather(stage.seed)
    draw, states, nothing, most = _with_thing(stage, stage.view())
    return stage.made(lambda t: dress(weather, draw(t), t), 60, states, most, nothing, 5.0)


def wind(stage: Stage) -> Instance:
    """Leaves sway in a part of the view."""
    return _weathered(stage, lambda weather, image, t: weather.sway(image, t))


def rain(stage: Stage) -> Instance:
    """It rains, or snows."""
    return _weathered(stage, lambda weather, image, _: weather.rain(image))


def flicker(stage: Stage) -> Instance:
    """A lamp flickers, fast or slowly: no news."""
    draw, states, nothing, most = _with_thing(stage, lit(stage.view(), 0.7))
    x, y = stage.place(2, 2)
    light = 1 + stage.between(0.5, 1.5) * glow(stage, x, y, stage.height * stage.between(0.1, 0.3))
    beat = stage.over(0.3, 6)

    def flickering(t: float) -> Image:
        return lit(draw(t), light) if np.sin(6.28 * beat * t) + 0.4 * np.sin(9 * t) > 0 else draw(t)

    return stage.made(flickering, 60, states, most, nothing, 5.0)


# -- variable rate ---------------------------------------------------------------------------------


def standing(stage: Stage) -> Instance:
    """Pictures of a screen recorder: one frame each time something changes. Some stand for half a
    second, some for a minute; before some a short one has used up the slot."""
    pictures = stage.views(6) if stage.rng.integers(2) else []
    if not pictures:
        slides = Slides(stage)
        pictures = [slides.page(slides.lines) for _ in range(6)]
    times: list[float] = []
    shown: list[Image] = []
    states: list[Timed] = []
    at = 0.0
    for number, picture in enumerate(pictures):
        if number and stage.rng.integers(2):  # something passes, too short to be looked at
            times.append(at)
            shown.append(mixed(pictures[number - 1], picture, 0.5))
            at += stage.between(0.02, 0.1)
        stays = stage.over(0.45, 60)
        times.append(at)
        shown.append(picture)
        states.append((at, at + stays - 1e-3, f"picture {number + 1}, {stays:.1f} s"))
        at += stays
    times.append(at)
    shown.append(pictures[-1])
    states[-1] = (states[-1][0], at + 0.1, states[-1][2])

    def draw(t: float) -> Image:
        return shown[int(np.searchsorted(times, t + 1e-6, side="right")) - 1]

    return Instance(draw, times, states, len(pictures) + 1, [], stage.noise, stage.crf)


def brief(stage: Stage) -> Instance:
    """Other stills show for 0.3 to 3 s in a clip of one view."""
    view, *stills = stage.views(4)
    rate = float(stage.any(10, 15, 25))
    began, states, nothing = 6.0, [(0.0, 5.9, "the view")], []
    shown: list[tuple[float, float, Image]] = []
    for number, still in enumerate(stills):
        stays = stage.over(0.45, 3)
        at = began + stage.between(0, 1)
        shown.append((at, at + stays, still))
        states.append((at, at + stays - 0.01, f"still {number + 1}, {stays:.1f} s"))
        began = at + stays + 5
        nothing.append((at + stays + 0.5, began, "the view again"))

    def draw(t: float) -> Image:
        return next((still for a, b, still in shown if a <= t < b), view)

    return stage.made(draw, began, states, 6, nothing, rate)
