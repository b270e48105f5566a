"""Makes photographs, pages and icons, and worse copies of them."""

from __future__ import annotations

import cv2
import numpy as np

from clips import real_pictures
from stillsift.arrays import Image
from stillsift.frames import ArrayPicture
from stillsift.selection.overview import Overview, overview_of


def real_photo(number: int = 0) -> Image:
    """(360, 640, 3) BGR of the real footage that comes with the tests."""
    rgb = real_pictures()[number]
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.resize(bgr, (640, 360), interpolation=cv2.INTER_CUBIC), np.uint8)


def textured(seed: int, width: int = 640, height: int = 480) -> Image:
    """(height, width, 3): sharp shapes of many sizes and colours, with smooth ground between."""
    random = np.random.default_rng(seed)
    made = np.full((height, width, 3), 110, np.uint8)
    made[:] = np.linspace(70, 150, width, dtype=np.uint8)[None, :, None]
    made[..., 0] -= 30  # the ground is not grey
    for size in (90, 45, 20, 9):
        for _ in range(24):
            x, y = int(random.integers(0, width)), int(random.integers(0, height))
            colour = tuple(int(c) for c in random.integers(20, 235, 3))
            if random.random() < 0.5:
                cv2.circle(made, (x, y), size // 2, colour, -1, cv2.LINE_AA)
            else:
                cv2.rectangle(made, (x, y), (x + size, y + size // 2), colour, -1)
    return made


def page(seed: int, total: str = "471.08", width: int = 620, height: int = 877) -> Image:
    """(height, width, 3): a page of words; `seed` says which, `total` stands in its last line."""
    random = np.random.default_rng(seed)
    made = np.full((height, width, 3), 255, np.uint8)
    letters = "abcdefghiklmnoprstuvw"
    for line in range(26):
        words = ("".join(random.choice(list(letters), int(random.integers(3, 8)))) for _ in "12345")
        write(made, " ".join(words), 40, 60 + 28 * line)
    write(made, f"Total  {total}", 40, 60 + 28 * 27)
    return made


def write(picture: Image, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 1, cv2.LINE_AA)


def resized(picture: Image, share: float) -> Image:
    size = (round(picture.shape[1] * share), round(picture.shape[0] * share))
    kind = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=kind), np.uint8)


def compressed(picture: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def noisy(picture: Image, levels: float) -> Image:
    noise = np.random.default_rng(5).normal(0, levels, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def blurred(picture: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def moved(picture: Image, pixels: int) -> Image:
    """As a camera sees it that moves sideways while its shutter is open."""
    return np.asarray(cv2.blur(picture, (pixels, 1)), np.uint8)


def grey(picture: Image) -> Image:
    luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)


def sepia(picture: Image) -> Image:
    """The tone that image editors give: red, green and blue of one mixture, cut off at white."""
    mixture = picture @ np.array((0.168, 0.686, 0.349), np.float32)
    return np.asarray(np.clip(mixture[..., None] * (0.78, 1.0, 1.12), 0, 255), np.uint8)


def slide(*lines: str) -> Image:
    """(360, 640, 3): a few large words on a dark ground, and a bar of colour."""
    made = np.full((360, 640, 3), (44, 28, 22), np.uint8)
    made[:8] = (200, 110, 30)
    for number, line in enumerate(lines):
        y = 80 + 50 * number
        cv2.putText(made, line, (50, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (250,) * 3, 2, cv2.LINE_AA)
    return made


def cropped(picture: Image, share: float) -> Image:
    height, width = picture.shape[:2]
    down, right = round(height * share / 2), round(width * share / 2)
    return np.ascontiguousarray(picture[down : height - down, right : width - right])


def turned(picture: Image, degrees: float) -> Image:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    border = cv2.BORDER_REFLECT
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=border), np.uint8)


def with_disc(picture: Image, colour: tuple[int, int, int], radius: int = 22) -> Image:
    made = picture.copy()
    middle = picture.shape[1] // 2, picture.shape[0] // 2
    cv2.circle(made, middle, radius, colour, -1, cv2.LINE_AA)
    return made


def overview(picture: Image, quality: float | None = None) -> Overview:
    return overview_of(ArrayPicture(picture), quality)
