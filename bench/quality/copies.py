"""Pairs of photographs: copies, of which one is to be kept, and others, of which both are.

Copies differ in size, coding, light, crop or shift. Others have something put in, another colour
in a part, or, of documents, another page or one other digit. Each pair is a folder of its own that
stillsift reads as photographs. The photographs are from the media; pages and invoices are drawn.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import methods
import numpy as np
import plots
from bench import Bench
from days import Image, read_still
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

AT_ONCE = 60
"""Folders in one command."""
LONGEST = 1024
"""Pixels of the longer side of a photograph."""
WORDS = [
    "of",
    "river",
    "stone",
    "window",
    "market",
    "paper",
    "silver",
    "engine",
    "letter",
    "under",
    "garden",
    "bridge",
    "storm",
]


def _coded(picture: Image, suffix: str, quality: int) -> Image:
    kind = cv2.IMWRITE_WEBP_QUALITY if suffix == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    _, told = cv2.imencode(suffix, picture, [kind, quality])
    return np.asarray(cv2.imdecode(told, cv2.IMREAD_COLOR), np.uint8)


def _sized(picture: Image, factor: float) -> Image:
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=mode), np.uint8)


def _lit(picture: Image, gain: float) -> Image:
    return _coded(np.asarray(np.clip(picture * np.float32(gain), 0, 255), np.uint8), ".jpg", 90)


def _cropped(picture: Image, share: float) -> Image:
    """Without this share of the width and of the height, the same on both sides."""
    dy, dx = (round(side * share / 2) for side in picture.shape[:2])
    return picture[dy : picture.shape[0] - dy, dx : picture.shape[1] - dx]


def copies(picture: Image) -> Iterator[tuple[str, Image, Image]]:
    """(kind, one, other) of each pair that shows the same."""
    for factor in (0.33, 0.5, 2.0):
        yield "copy: size", picture, _sized(picture, factor)
    for quality in (30, 50, 75):
        yield "copy: JPEG", picture, _coded(picture, ".jpg", quality)
    yield "copy: WebP", picture, _coded(picture, ".webp", 50)
    for gain in (0.9, 1.1):
        yield "copy: light 10 %", picture, _lit(picture, gain)
    for share in (0.02, 0.04):
        yield "copy: crop 2-4 %", picture, _coded(_cropped(picture, share), ".jpg", 90)
    for share in (0.01, 0.03):
        dy, dx = (round(side * share) for side in picture.shape[:2])
        yield "copy: shift 1-3 %", picture[dy:, dx:], picture[:-dy, :-dx]


def others(
    picture: Image, strange: Image, rng: np.random.Generator
) -> Iterator[tuple[str, Image, Image]]:
    """(kind, one, other) of each pair that does not show the same. `strange` lends the objects."""
    height, width = picture.shape[:2]
    lent = np.asarray(cv2.resize(strange, (width, height)), np.uint8)
    for area in (0.005, 0.01, 0.02):
        alpha = _spot(height, width, area, rng)
        moved = np.roll(lent, (int(rng.integers(height)), int(rng.integers(width))), (0, 1))
        changed = np.asarray(picture * (1 - alpha) + moved * alpha, np.uint8)
        yield f"other: object {area:.1%}", picture, _coded(changed, ".jpg", 85)
    for area in (0.014, 0.03):
        alpha = _spot(height, width, area, rng)
        ycc = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb).astype(np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        ycc[..., 1:] = 256 - ycc[..., 1:] + 30 * np.array((np.cos(angle), np.sin(angle)))
        tinted = cv2.cvtColor(np.clip(ycc, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)
        changed = np.asarray(picture * (1 - alpha) + tinted * alpha, np.uint8)
        yield "other: colour of 1-3 %", picture, _coded(changed, ".jpg", 85)


def _spot(height: int, width: int, area: float, rng: np.random.Generator) -> Image:
    """(height, width, 1) an oval of that share of the picture, 0 to 1, away from the border."""
    alpha = np.zeros((height, width), np.float32)
    radius, stretch = float(np.sqrt(area * height * width / np.pi)), rng.uniform(0.7, 1.4)
    centre = (int(width * rng.uniform(0.15, 0.85)), int(height * rng.uniform(0.15, 0.85)))
    axes = (max(1, int(radius * stretch)), max(1, int(radius / stretch)))
    cv2.ellipse(alpha, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.0)[..., None])


def page(seed: int) -> Image:
    rng, sheet = np.random.default_rng(seed), Pillow.new("RGB", (1240, 1754), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(26)
    for row in range(40):
        text = " ".join(str(word) for word in rng.choice(WORDS, 11))
        draw.text((110, 120 + 38 * row), text, fill=(20, 20, 20), font=font)
    return np.asarray(sheet)[:, :, ::-1].copy()


def invoice(seed: int, digits: str = "471.08") -> Image:
    rng, sheet = np.random.default_rng(seed), Pillow.new("RGB", (1240, 1754), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(30)
    draw.rectangle((0, 0, 1240, 140), fill=(40, 90, 160))
    draw.text((80, 45), "Example Supplies", fill="white", font=ImageFont.load_default(48))
    draw.text((80, 240), f"Invoice {rng.integers(10000, 99999)}", fill="black", font=font)
    for row in range(10):
        y = 480 + 70 * row
        draw.line((80, y + 50, 1160, y + 50), fill=(180, 180, 180))
        draw.text((90, y), " ".join(str(w) for w in rng.choice(WORDS, 2)), fill="black", font=font)
        draw.text((980, y), f"{rng.integers(100, 9999) / 100:.2f}", fill="black", font=font)
    draw.text((800, 1250), f"Total   {digits}", fill="black", font=font)
    return np.asarray(sheet)[:, :, ::-1].copy()


def pairs(media: Path) -> Iterator[tuple[str, Image, Image]]:
    rng = np.random.default_rng(1)
    folders = ("ena24", "imagededup_base", "potatoes")
    paths = [p for f in folders for p in sorted((media / "f" / f).glob("*.[jp][pn]g"))[:11]]
    photos = []
    for path in paths:
        photo = read_still(path)
        photos.append(_sized(photo, min(1.0, LONGEST / max(photo.shape))))
    for number, photo in enumerate(photos):
        yield from copies(photo)
        yield from others(photo, photos[(number + 7) % len(photos)], rng)
    for seed in range(6):
        for kind, one, other in (*copies(page(seed)), *copies(invoice(seed))):
            yield f"document {kind}", one, other
        yield "document other: page", page(seed), page(seed + 100)
        yield "document other: page", page(seed), _sized(page(seed + 200), 0.5)
        yield "document other: invoice", invoice(seed), invoice(seed + 100)
        yield "document other: one digit", invoice(seed), invoice(seed, "471.05")


def measure(bench: Bench) -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    waiting: list[str] = []
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as made:
        root = Path(made)

        def decide() -> None:
            folders = [root / f"pair{number}" for number in range(len(waiting))]
            rows, _ = methods.sifted(folders, f"{bench.engine} --set group=null")
            kept = [row["source"] for row in rows if row["outcome"] == "kept"]
            for kind, folder in zip(waiting, folders, strict=True):
                right[kind].append(kept.count(folder.name) == (1 if "copy" in kind else 2))
                shutil.rmtree(folder)
            waiting.clear()

        for kind, *both in pairs(bench.media):
            folder = root / f"pair{len(waiting)}"
            folder.mkdir()
            # Lossless, so that nothing but what the pair is about differs.
            for name, picture in zip("ab", both, strict=True):
                path = folder / f"{name}.png"
                cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            waiting.append(kind)
            if len(waiting) == AT_ONCE:
                decide()
        if waiting:
            decide()
    print(f"\npairs of photographs\n{'':36} {'pairs':>6} {'right':>6} {'share':>6}")
    for name in sorted(right):
        some = right[name]
        print(f"{name:36} {len(some):6} {sum(some):6} {np.mean(some):6.1%}")
    for word in ("copy", "other"):
        some = [each for name, values in right.items() if word in name for each in values]
        print(f"{'all ' + word:36} {len(some):6} {sum(some):6} {np.mean(some):6.1%}")
    names = sorted(right)
    shares = {"stillsift": [float(np.mean(right[name])) for name in names]}
    plots.bars(bench.out / "copies.png", names, shares, "pairs decided rightly")
