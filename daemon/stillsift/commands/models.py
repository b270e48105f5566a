"""Implements `stillsift models`: lists embedders and detectors, or checks that they are whole."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from ..detection import DetectorSpec, detectors, open_detector
from ..embedding import ModelError, onnx_model
from ..embedding.manifest import ModelSpec, TagsSpec, manifest
from ..embedding.tagger import Tagger
from ..escapes import escaped, json_text
from .arguments import Commands, add_command, add_json

_Spec = ModelSpec | TagsSpec | DetectorSpec
_KINDS: Mapping[type, str] = {ModelSpec: "embedder", TagsSpec: "tags", DetectorSpec: "detector"}
_EXAMPLES = """\
  stillsift models list
  stillsift models verify
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "models",
        models,
        "List the embedders and detectors, or check that they are whole.",
        _EXAMPLES,
    )
    parser.add_argument("action", nargs="?", choices=["list", "verify"], default="list")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="another manifest.yaml")
    add_json(parser)


def models(given: argparse.Namespace) -> int:
    """Lists or verifies the models; returns 1 where one is not as the manifest says."""
    embedders = manifest(given.manifest).values()
    known: list[_Spec] = [*embedders, *(each.tags for each in embedders if each.tags is not None)]
    known.extend(detectors(given.manifest).values())
    rows = [_row(spec, given.action == "verify") for spec in known]
    if given.json:
        print(json_text(rows, indent=2))
    else:
        for row in rows:
            verdict = row.get("error") or (f"ok on {row['provider']}" if "provider" in row else "")
            for line in (
                f"{row['name']}  {verdict}".rstrip(),
                f"  {row['kind']}: {row['purpose']}",
                f"  {row['file']}, {row['licence']}",
            ):
                print(escaped(line))
    return 1 if any("error" in row for row in rows) else 0


def _row(spec: _Spec, verify: bool) -> dict[str, object]:
    """Returns what is known of a model; with `verify` it is opened and run."""
    row: dict[str, object] = {
        "name": spec.name,
        "kind": _KINDS[type(spec)],
        "file": str(spec.path),
        "licence": spec.licence,
        "purpose": spec.purpose,
    }
    if isinstance(spec, ModelSpec):
        row["cell_limit"] = spec.cell_limit
    elif isinstance(spec, DetectorSpec):
        row["labels"] = spec.known
    if verify:
        try:
            if isinstance(spec, ModelSpec):
                row["provider"] = onnx_model.verify(spec).provider
            elif isinstance(spec, DetectorSpec):
                row["provider"] = open_detector(spec).provider
            else:
                Tagger(spec)
                row["provider"] = "cpu"
        except ModelError as error:
            row["error"] = str(error)
    return row
