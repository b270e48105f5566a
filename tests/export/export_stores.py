"""Makes stores to export, with objects and without, of real sifting."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import cv2
import yaml

import tiny_onnx
from photographs import textured
from stillsift.cli import main

DAY_S = 86_400
START_S = 1_790_000_000 // DAY_S * DAY_S
BOX = (100, 200, 220, 320)
"""Left, top, right and bottom of the light in the pictures that have one."""
SIZE = (640, 480)


def add_photos(
    store: Path, name: str, numbers: range, *, label: str = "light", asks: str | None = "require"
) -> None:
    """Sifts photographs into a store, of which each is of another day and shows a light.

    `asks`: key that has the light looked for; with `inhibit`, they show none.
    """
    photos = store.parent / name
    photos.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture = textured(number, *SIZE) // 2
        if asks != "inhibit":
            left, top, right, bottom = BOX
            picture[top:bottom, left:right] = 250
        path = photos / f"{number}.png"
        assert cv2.imwrite(str(path), picture)
        os.utime(path, (START_S + number * DAY_S,) * 2)
    config = store.parent / f"{name}.yaml"
    model = tiny_onnx.bright_box(store.parent / "light.onnx")
    given = {"detector": {"path": str(model), "labels": [label]}}
    asked = {} if asks is None else {asks: [label]}
    config.write_text(yaml.safe_dump({**given, "defaults": asked}), "utf-8")
    assert main(["sift", str(photos), "-c", str(config), "-o", str(store)]) == 0


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path; of a package without the time at which it was made."""
    told: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path.is_file() and ".stillsift-export" not in path.parts:
            data = path.read_bytes()
            if path.name == "datapackage.json":
                data = json.dumps({**json.loads(data), "created": ""}).encode()
            told[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return told
