"""Converts Sigma rules with pySigma's backends. Run by its path, by a Python that has them; imports nothing of ours.

The backends want an older pySigma than the matcher does, so they live in an environment of their own. One JSON object
comes on standard input, one goes to standard output; `service/sigma_export.py` is the other side.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import sys
from typing import Any

# What converting a rule may raise, besides pySigma's own errors: backends and pipelines are many people's work.
FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RecursionError, TypeError,
          ValueError)  # fmt: skip
# Target -> backend's module and class, pipeline's module and function, the package that has them.
TARGETS = {
    "kusto": ("kusto", "KustoBackend", "microsoftxdr", "microsoft_xdr_pipeline", "pysigma-backend-kusto"),
    "splunk": ("splunk", "SplunkBackend", "splunk", "splunk_windows_pipeline", "pysigma-backend-splunk"),
    "elastic": (
        "elasticsearch", "LuceneBackend", "elasticsearch", "ecs_windows", "pysigma-backend-elasticsearch"
    ),
    "cortex": ("cortexxdr", "CortexXDRBackend", "cortexxdr", "CortexXDR_pipeline", "pysigma-backend-cortexxdr"),
}  # fmt: skip

_LOOKS = {"look-around": re.compile(r"\(\?<?[=!]"), "references to groups": re.compile(r"\\[1-9]")}
# What a target's regular expressions lack. pySigma's backends write it all the same, and the query then finds nothing.
UNKNOWN = {
    "kusto": _LOOKS,  # RE2
    "splunk": {},  # PCRE
    "elastic": {  # Lucene
        **_LOOKS,
        "inline flags": re.compile(r"\(\?[a-z-]+[:)]"),
        "word boundaries": re.compile(r"\\[bB]"),
        "groups that do not capture": re.compile(r"\(\?:"),
        "lazy repeats": re.compile(r"(?<!\\)[*+?}]\?"),
        "anchors": re.compile(r"(?<![\\\[])[\^$]"),
        "searches within a value (its match the whole)": re.compile(r"\A(?!\.\*)|(?<!\.\*)\Z"),
    },
    "cortex": _LOOKS,  # RE2
}


def main() -> None:
    asked = json.load(sys.stdin)
    try:
        backend, package = _backend(asked["target"])
    except ImportError as error:
        json.dump({"missing": str(error)}, sys.stdout)
        return
    converted: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    wrong: tuple[type[Exception], ...] = (*_theirs(), *FAULTS)
    for rule in asked["rules"]:
        try:
            queries = _convert(backend, asked["target"], rule["texts"])
        except wrong as error:
            refused.append({"number": rule["number"], "reason": f"{type(error).__name__}: {error}"[:1000]})
            continue
        if queries:
            converted.append({"number": rule["number"], "queries": queries})
        else:
            refused.append({"number": rule["number"], "reason": "the backend gave no query"})
    versions = {name: importlib.metadata.version(name) for name in ("pysigma", package)}
    json.dump({"converted": converted, "refused": refused, "versions": versions}, sys.stdout)


def _backend(target: str) -> tuple[Any, str]:
    module, name, pipelines, pipeline, package = TARGETS[target]
    made = getattr(importlib.import_module(f"sigma.pipelines.{pipelines}"), pipeline)()
    if target == "elastic":
        made += _ecs()
    return getattr(importlib.import_module(f"sigma.backends.{module}"), name)(processing_pipeline=made), package


def _ecs() -> Any:
    """The Elastic Common Schema for process starts of any system; the backend's own pipeline knows Windows only."""
    pipeline = importlib.import_module("sigma.processing.pipeline")
    conditions = importlib.import_module("sigma.processing.conditions")
    transformations = importlib.import_module("sigma.processing.transformations")
    fields = {
        "Image": "process.executable",
        "CommandLine": "process.command_line",
        "CurrentDirectory": "process.working_directory",
        "OriginalFileName": "process.pe.original_file_name",
        "ParentImage": "process.parent.executable",
        "ParentCommandLine": "process.parent.command_line",
        "User": "user.name",
        "Computer": "host.name",
        "ProcessId": "process.pid",
        "ParentProcessId": "process.parent.pid",
    }
    item = pipeline.ProcessingItem(
        identifier="ecs_process_creation",
        transformation=transformations.FieldMappingTransformation(fields),
        rule_conditions=[conditions.LogsourceCondition(category="process_creation")],
    )
    return pipeline.ProcessingPipeline(name="ECS for process starts", priority=30, items=[item])


def _convert(backend: Any, target: str, texts: list[str]) -> list[str]:
    """The queries of a rule. A rule whose tests the target reads otherwise than Sigma means them is refused."""
    collection = importlib.import_module("sigma.collection").SigmaCollection
    found = collection.from_yaml("\n---\n".join(texts))
    queries = [str(query) for query in backend.convert(found)]
    items = [item for rule in found.rules for item in _items(getattr(rule, "detection", None))]
    foreign = {
        name
        for _, expression in items
        for name, signs in UNKNOWN[target].items()
        if expression and signs.search(expression)
    }
    if foreign:
        raise ValueError(f"its regular expressions use {', '.join(sorted(foreign))}, which the target does not know")
    if target == "elastic":
        bare = sorted({name for name, _ in items if name and "." not in name})
        if bare:
            raise ValueError(f"no field of the Elastic Common Schema is known for {', '.join(bare)}")
    return queries


def _items(detection: Any) -> list[tuple[str, str]]:
    """Each test's field, by the target's name once it was converted, and its regular expression where it is one."""
    found: list[tuple[str, str]] = []
    parts = list(getattr(detection, "detections", {}).values())
    while parts:
        part = parts.pop()
        if hasattr(part, "detection_items"):
            parts += part.detection_items
            continue
        expressions = [str(one.regexp) for one in part.value if hasattr(one, "regexp")]
        found += [(str(part.field or ""), expression) for expression in expressions or [""]]
    return found


def _theirs() -> tuple[type[Exception], ...]:
    """What pySigma and its YAML parser raise on a wrong rule."""
    sigma, yaml = importlib.import_module("sigma.exceptions"), importlib.import_module("yaml")
    return sigma.SigmaError, yaml.YAMLError


if __name__ == "__main__":
    main()
