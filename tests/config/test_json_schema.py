"""The JSON schema accepts and refuses what the reader does."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from configured import REFERENCE, example_sources
from stillsift.config import Config, ConfigError, json_schema
from stillsift.config.yaml_file import parse


def test_the_schema_accepts_what_the_reader_accepts() -> None:
    schema = json_schema.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in (REFERENCE.read_text(), example_sources(), Config().to_yaml()):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "stroe: {}",
        "defaults: {rate: 5}",
        "defaults: {settle: 2 parsecs}",
        "defaults: {gallery: 0}",
        "defaults: {novelty_limit: -1}",
        "defaults: {max_per_day: 0}",
        "defaults: {keep_ratio: 1.5}",
        "store: {format: gif}",
        "model: {custom: {std: [1, 1, 0]}}",
        "sources: [{name: a}]",
        "sources: [{name: a, directory: /a, rtsp: 'rtsp://h/'}]",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)
    assert not jsonschema.Draft202012Validator(json_schema.schema()).is_valid(yaml.safe_load(text))


def test_the_schema_tells_about_every_key() -> None:
    schema = json_schema.schema()
    for name, model in schema["$defs"].items():
        for key, value in model["properties"].items():
            assert value.get("description") or "$ref" in value, f"{name}.{key}"
    assert schema["$defs"]["SourceSettings"]["properties"]["settle"]["default"] == "2s"
    assert "default" not in schema["$defs"]["SourceConfig"]["properties"]["settle"]
    assert "None" not in json.dumps(schema)
