"""The golden corpus: command lines and their trees. `python -m tests.analysis.golden` writes the trees anew.

To extend it, add an `input` to a file of `corpus/`, run that command, and review the diff. A file may say for all of
its cases which interpreter each has to name (`interpreter`), and a case the `language` or the `original` file name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from perilune.analysis import analyze
from perilune.model.analysis import Analysis, Command, Layer

CORPUS = Path(__file__).parent / "corpus"
SHOWN = 160


def files() -> list[Path]:
    return sorted(CORPUS.glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def tree_of(case: Mapping[str, str]) -> str:
    """The tree of a case: layers that were decoded, then commands, each indented under what it came from."""
    found = analyze(case["input"], language=case.get("language", ""), original=case.get("original", ""))
    return "\n".join([*_layers(found), *_commands(found.commands, found)])


def _layers(found: Analysis) -> Iterator[str]:
    for layer in found.layers[1:]:
        yield f"~ {layer.number} {layer.kind} of {layer.parent}{_about(layer)}: {_shown(layer)}"


def _about(layer: Layer) -> str:
    state = "" if layer.state.value == "whole" else f" {layer.state.value}"
    return f"{state} ({layer.language})" if layer.language else state


def _shown(layer: Layer) -> str:
    text = repr(layer.text)[1:-1]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _commands(commands: Sequence[Command], found: Analysis, depth: int = 0) -> Iterator[str]:
    for one in commands:
        row = f" [{one.interpreter} {one.technique}]" if one.interpreter else ""
        code = f" code={one.code}" if one.code is not None else ""
        image = repr(one.image)[1:-1][:80]
        yield f"{'  ' * depth}{image}{row}{'' if one.by == 'given' else f' by {one.by!r}'}{code}"
        yield from _commands(one.inner, found, depth + 1)


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    block = "\n" in value and not any(line != line.rstrip() for line in value.splitlines())
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)


_Dumper.add_representer(str, _text)


def write(path: Path) -> None:
    document = load(path)
    for case in document["cases"]:
        case["tree"] = tree_of(case)
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for one in files():
        write(one)
