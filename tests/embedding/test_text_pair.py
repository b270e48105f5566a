"""A pair of tiny files, made with the onnx package: the mean colour, and the colours of words."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny_onnx
from stillsift.embedding import ModelError
from stillsift.embedding.manifest import InputSpec
from stillsift.embedding.text_pair import TextPair, TextPairSpec
from stillsift.frames import ArrayPicture


def spec(folder: Path, tokens: int | str = "tokens", **changes: object) -> TextPairSpec:
    made = TextPairSpec(
        tiny_onnx.image_half(folder / "image.onnx"),
        tiny_onnx.text_half(folder / "text.onnx", tokens),
        tiny_onnx.tokenizer(folder / "tokenizer.json"),
        InputSpec(layout="nchw", size=(32, 32)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def opened(described: TextPairSpec) -> TextPair:
    return TextPair(described, "cpu", 1)


def cosine(pair: TextPair, text: str, blue: int, green: int, red: int) -> float:
    picture = ArrayPicture(np.full((48, 64, 3), (blue, green, red), np.uint8))
    return float(pair(picture).vector @ pair.text(text))


@pytest.mark.parametrize("tokens", ["tokens", 8])
def test_a_text_is_near_to_what_it_names(tmp_path: Path, tokens: int | str) -> None:
    pair = opened(spec(tmp_path, tokens))
    assert cosine(pair, "Red", 0, 0, 255) > 0.99
    assert cosine(pair, "red", 255, 0, 0) < 0.1
    assert cosine(pair, "red blue", 255, 0, 255) > 0.99
    assert np.linalg.norm(pair.text("green")) == pytest.approx(1)
    assert pair(ArrayPicture(np.full((9, 9, 3), 90, np.uint8))).grid is None


def test_a_text_is_padded_or_cut_and_keeps_its_end(tmp_path: Path) -> None:
    pair = opened(spec(tmp_path, 4))
    assert np.allclose(pair.text("red red red red red blue"), pair.text("red red red blue"))
    padded = opened(spec(tmp_path, length=64))
    assert np.allclose(padded.text("red"), pair.text("red"), atol=1e-3)
    assert len(padded._tokens("red")["input_ids"][0]) == 64
    long = opened(spec(tmp_path))
    assert len(long._tokens("red " * 500)["input_ids"][0]) == 77


def test_the_projected_output_is_taken(tmp_path: Path) -> None:
    image = tiny_onnx.image_half(tmp_path / "two.onnx", ("pooler_output", "image_embeds"))
    assert cosine(opened(spec(tmp_path, image=image)), "red", 0, 0, 255) > 0.99


def test_another_file_is_another_model(tmp_path: Path) -> None:
    first = opened(spec(tmp_path)).identity
    again = opened(spec(tmp_path)).identity
    other = opened(spec(tmp_path, input=InputSpec(layout="nchw", size=(64, 64)))).identity
    assert first == again != other


def problem(described: TextPairSpec) -> str:
    with pytest.raises(ModelError) as raised:
        opened(described).check_together(np.ones((1, 3), np.float32))
    return str(raised.value)


def test_files_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    given = spec(tmp_path)
    not_onnx = tmp_path / "notes.onnx"
    not_onnx.write_text("none")
    assert f"{not_onnx}: onnxruntime cannot open it" in problem(replace(given, image=not_onnx))
    assert f"{not_onnx}: onnxruntime cannot open it" in problem(replace(given, text=not_onnx))
    assert f"{not_onnx}: is no tokenizer.json" in problem(replace(given, tokenizer=not_onnx))
    said = problem(replace(given, text=given.image))
    assert "its inputs are pixels, and must be input_ids" in said
    whole = tiny_onnx.text_half(tmp_path / "whole.onnx", more_inputs=("pixel_values",))
    assert "export the text model alone" in problem(replace(given, text=whole))
    wide = tiny_onnx.text_half(tmp_path / "wide.onnx", size=5)
    said = problem(replace(given, text=wide))
    assert "vectors of 3 numbers" in said
    assert "of 5; name two files of one model as search.image and search.text" in said
    fixed = tiny_onnx.float_nchw(tmp_path / "fixed.onnx")
    said = problem(replace(given, image=fixed))
    assert "takes only pictures" in said
    assert "correct search.size" in said


def test_the_library_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = spec(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "pip install 'stillsift[text]'" in problem(given)


def test_a_text_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="makes no token"):
        opened(spec(tmp_path)).text("  ")
