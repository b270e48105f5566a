"""An object is known again elsewhere, in another light and size; another one is not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from clips import real_person
from sifting import LIMIT, blocks, lite0, scene, thumbnail_of
from stillsift.arrays import Image, packed, unpacked
from stillsift.decisions import Box
from stillsift.embedding import Embedding
from stillsift.frames import ArrayPicture, Picture
from stillsift.selection import Gallery, GalleryFrame
from stillsift.selection.cells import Cells
from stillsift.selection.shown_objects import covered, objects_apart, part_of, shown_objects


def shown_in(view: int, person: Image, x: int, y: int, height: int) -> tuple[Image, Box]:
    """A picture of 640 x 360 with a person in it, and the box in shares."""
    picture = np.asarray(cv2.resize(scene(view), (640, 360)), np.uint8)
    width = round(person.shape[1] * height / person.shape[0])
    size = cv2.resize(person, (width, height), interpolation=cv2.INTER_AREA)
    picture[y : y + height, x : x + width] = size
    return picture, (x / 640, y / 360, (x + width) / 640, (y + height) / 360)


def cells_of(
    picture: Image, box: Box, embed: Callable[[Picture], Embedding] | None = None
) -> Cells:
    (one,) = shown_objects(picture, [box], embed or lite0())
    return one.cells


def dimmed(picture: Image) -> Image:
    """As under another sky: darker, less contrast, warmer."""
    light = (picture / 255) ** 1.15 * (0.75, 0.82, 0.88)
    return np.asarray(np.clip(light * 255, 0, 255), np.uint8)


@pytest.mark.parametrize("name", ["driver", "cyclist"])
def test_the_same_person_elsewhere_in_another_light_and_size_is_the_same(name: str) -> None:
    first = cells_of(*shown_in(1, real_person(name), 30, 60, 200))
    picture, box = shown_in(2, real_person(name), 380, 100, 150)
    assert objects_apart(first, first, LIMIT) == pytest.approx(0, abs=1e-5)
    assert 0.05 < objects_apart(first, cells_of(dimmed(picture), box), LIMIT) < 1


def test_another_person_at_the_same_place_is_another_one() -> None:
    first = cells_of(*shown_in(1, real_person("driver"), 30, 60, 200))
    other = cells_of(*shown_in(1, real_person("cyclist"), 30, 60, 200))
    assert objects_apart(first, other, LIMIT) > 1
    assert objects_apart(other, first, LIMIT) == pytest.approx(objects_apart(first, other, LIMIT))


def test_a_thing_of_another_colour_is_further_off() -> None:
    picture, box = shown_in(1, real_person("cyclist"), 30, 60, 200)
    first = cells_of(picture, box)
    turned = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    turned[..., 0] = (turned[..., 0] + 90) % 180
    turned[..., 1] = np.maximum(turned[..., 1], 150)
    other = cells_of(np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2BGR), np.uint8), box)
    grey = objects_apart(Cells.from_grid(first.grid()), Cells.from_grid(other.grid()), LIMIT)
    assert objects_apart(first, other, LIMIT) > grey + 0.05


def test_an_embedder_with_another_limit_has_another_scale() -> None:
    first = cells_of(*shown_in(1, real_person("driver"), 30, 60, 200))
    other = cells_of(*shown_in(1, real_person("cyclist"), 30, 60, 200))
    apart = objects_apart(first, other, LIMIT)
    assert objects_apart(first, other, 2 * LIMIT) == pytest.approx(apart / 2)


def test_an_embedder_without_cells_compares_whole_objects() -> None:
    def pooled(picture: Picture) -> Embedding:
        return Embedding(blocks(picture).vector, None)

    picture, box = shown_in(1, real_person("driver"), 30, 60, 200)
    first, other = (cells_of(each, box, pooled) for each in (picture, 255 - picture))
    assert objects_apart(first, first, 0.2) == pytest.approx(0, abs=1e-3)
    cosine = float(first.features[0] @ other.features[0])
    assert objects_apart(first, other, 0.2) == pytest.approx((1 - cosine) / 0.2)


def gallery_frame(number: int, *shown: tuple[Image, Box]) -> GalleryFrame:
    picture = shown[0][0]
    embedding = blocks(ArrayPicture(picture))
    objects = tuple(one for each, box in shown for one in shown_objects(each, [box], lite0()))
    return GalleryFrame(
        f"{number}", embedding, thumbnail_of(picture), Cells.of(embedding), objects=objects
    )


def test_the_gallery_finds_the_nearest_and_names_its_frame() -> None:
    driver = gallery_frame(0, shown_in(1, real_person("driver"), 30, 60, 200))
    cyclist = gallery_frame(1, shown_in(2, real_person("cyclist"), 300, 60, 200))
    gallery = Gallery(8, [driver, cyclist])
    picture, box = shown_in(3, real_person("driver"), 400, 150, 160)
    (seen,) = shown_objects(dimmed(picture), [box], lite0())
    found = gallery.nearest_object(seen, LIMIT)
    assert found is not None
    assert found[0] is driver
    assert found[1] == objects_apart(seen.cells, driver.objects[0].cells, LIMIT) < 1
    assert Gallery(8, [gallery_frame(2, (picture, box))]).nearest_object(seen, LIMIT) is not None
    assert Gallery(8).nearest_object(seen, LIMIT) is None


def test_objects_survive_in_the_ledger_bit_for_bit() -> None:
    driver = shown_in(1, real_person("driver"), 30, 60, 200)
    frame = gallery_frame(0, driver, shown_in(2, real_person("cyclist"), 9, 9, 90))
    again = GalleryFrame.from_bytes("0", frame.to_bytes())
    assert [each.box for each in again.objects] == [each.box for each in frame.objects]
    for one, two in zip(frame.objects, again.objects, strict=True):
        assert np.array_equal(one.cells.features, two.cells.features)
        assert one.cells.chroma is not None
        assert two.cells.chroma is not None
        assert np.array_equal(one.cells.chroma, two.cells.chroma)
        assert objects_apart(one.cells, two.cells, LIMIT) == pytest.approx(0, abs=1e-5)


def test_a_frame_of_an_earlier_version_has_no_objects() -> None:
    frame = gallery_frame(0, shown_in(1, real_person("driver"), 30, 60, 200))
    arrays = {k: v for k, v in unpacked(frame.to_bytes()).items() if "object" not in k}
    assert GalleryFrame.from_bytes("0", packed(arrays)).objects == ()


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((0.0, 0.0, 1.0, 1.0), (40, 60, 3)),
        ((-0.2, 0.5, 0.5, 1.4), (20, 30, 3)),
        ((0.999, 0.999, 1.2, 1.2), (1, 1, 3)),
        ((0.5, 0.5, 0.5, 0.5), (1, 1, 3)),
    ],
)
def test_a_part_lies_in_the_picture_and_is_never_empty(
    box: Box, shape: tuple[int, int, int]
) -> None:
    assert part_of(np.zeros((40, 60, 3), np.uint8), box).shape == shape


def test_a_box_covers_each_cell_that_it_touches() -> None:
    assert np.argwhere(covered((0.26, 0.0, 0.51, 0.5), (2, 4))).tolist() == [[0, 1], [0, 2]]
    assert covered((0.0, 0.0, 0.01, 0.01), (2, 4)).sum() == 1
    assert covered((0.99, 0.99, 1.0, 1.0), (2, 4))[1, 3]
    assert not covered((1.0, 1.0, 1.0, 1.0), (2, 4)).any()
