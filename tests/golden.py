"""Writes the golden decisions anew: `.venv/bin/python tests/golden.py`. Look at the difference."""

from __future__ import annotations

from pathlib import Path

from sifting import describe, footage, sift
from stillsift.config.settings import ModelSettings
from stillsift.embedding import Embedder
from stillsift.pipeline.model_choice import open_model
from stillsift.selection import Gallery, Limits, Sifter

if __name__ == "__main__":
    embedder = Embedder(open_model(ModelSettings()))
    spec = embedder.model.spec
    folder = Path(__file__).parent / "golden"
    folder.mkdir(exist_ok=True)
    for name in ("bikes", "bigbuckbunny", "carphone_pristine"):
        sifter = Sifter(Limits(spec.cell_limit), embedder, Gallery(32), model=spec.name)
        (folder / f"{name}.txt").write_text(describe(sift(sifter, footage(name))), "utf-8")
