"""Implements `stillsift models`: lists the embedders, or checks that they are whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..embedding import ModelError, onnx_model
from ..embedding.manifest import manifest
from ..escapes import escaped, json_text
from .arguments import Commands, add_command, add_json

_EXAMPLES = """\
  stillsift models list
  stillsift models verify
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "models", models, "List the embedders, or check that they are whole.", _EXAMPLES
    )
    parser.add_argument("action", nargs="?", choices=["list", "verify"], default="list")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="another manifest.yaml")
    add_json(parser)


def models(given: argparse.Namespace) -> int:
    """Lists or verifies the models; returns 1 where one is not as the manifest says."""
    known = manifest(given.manifest)
    rows = []
    for name, spec in known.items():
        row: dict[str, object] = {
            "name": name,
            "file": str(spec.path),
            "licence": spec.licence,
            "cell_limit": spec.cell_limit,
            "purpose": spec.purpose,
        }
        if given.action == "verify":
            try:
                verified = onnx_model.verify(spec)
            except ModelError as error:
                row["error"] = str(error)
            else:
                row["provider"] = verified.provider
        rows.append(row)
    if given.json:
        print(json_text(rows, indent=2))
    else:
        for row in rows:
            verdict = row.get("error") or (f"ok on {row['provider']}" if "provider" in row else "")
            for line in (
                f"{row['name']}  {verdict}".rstrip(),
                f"  {row['purpose']}",
                f"  {row['file']}, {row['licence']}",
            ):
                print(escaped(line))
    return 1 if any("error" in row for row in rows) else 0
