"""What a text can do: the capabilities of `content/capabilities`, each from signs that hold together.

A capability's file says which tests there are (`where`) and which of them together are enough (`any`). A test looks
at a layer's text, at the commands of the tree, at the kinds of the layers, or at the indicators.
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

import yaml

from perilune.analysis.interpreters import base_name
from perilune.analysis.patterns import Chooser, Expression, Patterns, required
from perilune.errors import ContentError
from perilune.model.analysis import Capability, Command, Indicator, Layer, Sign, walk

MAX_TEXT = 200_000  # characters of one layer that are searched
MAX_COMMANDS = 200  # commands that are tested
FEW = 2_000  # characters that are searched before the index over the patterns is made, which costs a tenth of a second
ALONE = 2.4  # the most that a capability may weigh which one pattern alone can show: it stays below `medium`

FAMILIES = (
    "download and run", "in-memory execution", "defence tampering", "credential access", "discovery", "persistence",
    "lateral movement", "defence evasion", "exfiltration", "remote shell", "obfuscation", "container and hypervisor abuse",
    "cloud abuse", "execution", "impact", "privilege escalation", "proxy execution", "context",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Test:
    """One named test of a capability. Exactly one of its ways of looking is set, with `argument` beside `program`."""

    name: str
    text: str = ""
    program: Expression | None = None
    argument: Expression | None = None
    by: Expression | None = None
    path: Expression | None = None
    layer: Expression | None = None
    indicator: Expression | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A capability's file. `alternatives`: sets of test names, one of which has to hold whole; `unless`: tests of which none may."""

    id: str
    title: str
    family: str
    techniques: tuple[str, ...]
    weight: float
    why: str
    tests: Mapping[str, Test]
    alternatives: tuple[tuple[str, ...], ...]
    unless: tuple[str, ...]
    samples: Mapping[str, Sequence[Mapping[str, Any]]]
    source: str


def parse(document: object, source: str, *, checked: bool = True) -> Definition:
    """A definition from its YAML; every fault of the file is named at once. `checked`: its expressions are compiled."""
    if not isinstance(document, dict):
        raise ContentError("a capability is a mapping", where=source)
    wrong = [
        f"missing: {key}"
        for key in ("id", "title", "family", "weight", "why", "where", "any", *(("samples",) if checked else ()))
        if key not in document
    ]
    if wrong:
        raise ContentError("; ".join(wrong), where=source)
    tests = {name: _test(name, spec, source, checked) for name, spec in document["where"].items()}
    alternatives = tuple(tuple(one if isinstance(one, list) else [one]) for one in document["any"])
    wrong += [f"`any` names no test: {name}" for one in alternatives for name in one if name not in tests]
    unless = tuple(document.get("unless", ()))
    used = {name for one in alternatives for name in one} | set(unless)
    wrong += [f"never used: {name}" for name in tests if name not in used]
    if document["family"] not in FAMILIES:
        wrong.append(f"no such family: {document['family']}")
    weight = float(document["weight"])
    if weight == 0:
        wrong.append("a weight of zero says nothing")
    if weight > ALONE and any(len(one) < 2 and tests[one[0]].text for one in alternatives if one[0] in tests):
        wrong.append(f"one pattern alone may weigh at most {ALONE}")
    if wrong:
        raise ContentError("; ".join(wrong), where=source)
    return Definition(
        document["id"], document["title"], document["family"], tuple(document.get("techniques", ())), weight,
        " ".join(str(document["why"]).split()), tests, alternatives, unless, document.get("samples", {}), source,
    )  # fmt: skip


def _test(name: str, spec: object, source: str, checked: bool) -> Test:
    if isinstance(spec, str):
        return Test(name, text=spec)
    if (
        not isinstance(spec, dict)
        or not spec
        or set(spec) - {"program", "argument", "by", "path", "layer", "indicator"}
    ):
        raise ContentError(
            f"test {name}: a pattern, or a mapping of program, path, argument, by, layer or indicator", where=source
        )
    try:
        ways: dict[str, Any] = {key: Expression(value) for key, value in spec.items()}
        if checked:
            for one in ways.values():
                one.compiled()
        return Test(name, **ways)
    except re.error as error:
        raise ContentError(f"test {name}: {error}", where=source) from None


class Catalogue:
    """Definitions ready to be looked for.

    Patterns without a literal to scan for are tried only where another sign of their capability is there already,
    or where they alone would be enough; tests of commands are found by the program's name.
    """

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.definitions = tuple(definitions)
        self._order = {d.id: number for number, d in enumerate(self.definitions)}
        self._texts = {f"{d.id}/{t.name}": t.text for d in self.definitions for t in d.tests.values() if t.text}
        self._searched = 0
        structural = [(d.id, t) for d in self.definitions for t in d.tests.values() if not t.text]
        self._of_commands = [
            (owner, t) for owner, t in structural if t.program is not None or t.by is not None or t.path is not None
        ]
        self._of_layers = [(owner, t) for owner, t in structural if t.layer is not None]
        self._of_indicators = [(owner, t) for owner, t in structural if t.indicator is not None]
        self._programs = Chooser([t.program.pattern if t.program else ".*" for _, t in self._of_commands], whole=True)
        self._by_program: dict[str, list[tuple[str, Test]]] = {}

    @cached_property
    def _few(self) -> Patterns:
        """All patterns, for the first texts: a run that explains one command is over before the index would pay."""
        return Patterns(self._texts, few=True)

    @cached_property
    def _index(self) -> tuple[Patterns, dict[str, Patterns]]:
        """The patterns that are always searched, and those that wait for another sign of their capability."""
        texts = self._texts
        loose = {key for key, text in texts.items() if required(text) is None}
        alone = {f"{d.id}/{one[0]}" for d in self.definitions for one in d.alternatives if len(one) == 1}
        alone |= {f"{d.id}/{name}" for d in self.definitions for name in d.unless}
        for one in (f for d in self.definitions for f in ([f"{d.id}/{n}" for n in a] for a in d.alternatives)):
            if all(key in loose for key in one):
                alone.add(one[0])  # nothing else would ever wake this alternative
        always = Patterns({key: text for key, text in texts.items() if key not in loose or key in alone})
        return always, {key: Patterns({key: texts[key]}) for key in sorted(loose - alone)}

    def check(self) -> None:
        """Compiles every pattern of texts; ContentError where one cannot be."""
        Patterns(self._texts, few=True).check()

    def find(
        self, layers: Sequence[Layer], commands: Sequence[Command], indicators: Sequence[Indicator]
    ) -> list[Capability]:
        """The capabilities whose signs are all there."""
        texts = [(layer, layer.text[:MAX_TEXT]) for layer in layers if layer.text and not layer.binary]
        signs: dict[str, Sign] = {}
        patterns, waiting = self._patterns(sum(len(text) for _, text in texts))
        for layer, text in texts:
            _search(patterns, layer, text, signs)
        self._structure(signs, layers, walk(tuple(commands)), indicators)
        if not signs:
            return []
        touched = {key.partition("/")[0] for key in signs}
        for key, pattern in waiting.items():
            if key.partition("/")[0] in touched:
                for layer, text in texts:
                    _search(pattern, layer, text, signs)
        named = (self.definitions[number] for number in sorted(self._order[one] for one in touched))
        return [found for d in named if (found := _held(d, signs)) is not None]

    def _patterns(self, more: int) -> tuple[Patterns, dict[str, Patterns]]:
        self._searched += more
        return (self._few, {}) if self._searched <= FEW else self._index

    def _structure(
        self,
        signs: dict[str, Sign],
        layers: Sequence[Layer],
        commands: Sequence[Command],
        indicators: Sequence[Indicator],
    ) -> None:
        for command in commands[:MAX_COMMANDS]:
            tests = self._tests_of(base_name(command.image))
            arguments = " ".join(command.arguments)[:2000] if tests else ""
            for owner, test in tests:
                key = f"{owner}/{test.name}"
                if key not in signs and _runs(test, command, arguments):
                    signs[key] = _command_sign(test, command, layers)
        for layer in layers:
            if layer.parent is None:
                continue
            for owner, test in self._of_layers:
                assert test.layer is not None
                if _is_kind(test.layer, layer):
                    signs.setdefault(f"{owner}/{test.name}", _layer_sign(test, layer))
        for one in indicators:
            for owner, test in self._of_indicators:
                assert test.indicator is not None
                if _is_indicator(test.indicator, one):
                    signs.setdefault(f"{owner}/{test.name}", _indicator_sign(test, one, layers))

    def _tests_of(self, name: str) -> list[tuple[str, Test]]:
        """The tests whose program fits a name; remembered, since the same few programs come again and again."""
        found = self._by_program.get(name)
        if found is None:
            fitting = [self._of_commands[number] for number in self._programs.candidates(name)]
            found = [(owner, t) for owner, t in fitting if t.program is None or t.program.fullmatch(name)]
            if len(self._by_program) < 20_000:
                self._by_program[name] = found
        return found


def _search(patterns: Patterns, layer: Layer, text: str, signs: dict[str, Sign]) -> None:
    for key, start, end in patterns.search(text):
        if key not in signs:
            shown = text[start : min(end, start + 160)]
            signs[key] = Sign(layer.number, start, end, shown, key.partition("/")[2])


def _runs(test: Test, command: Command, arguments: str) -> bool:
    if test.by is not None and not test.by.fullmatch(command.by):
        return False
    if test.path is not None and not test.path.search(command.image):
        return False
    return test.argument is None or test.argument.search(arguments) is not None


def _is_kind(pattern: Expression, layer: Layer) -> bool:
    return pattern.fullmatch(layer.kind) is not None or (
        layer.note != "" and pattern.fullmatch(f"{layer.kind}: {layer.note}") is not None
    )


def _is_indicator(pattern: Expression, one: Indicator) -> bool:
    return pattern.fullmatch(f"{one.kind} {one.scope}") is not None or any(
        pattern.fullmatch("listed-benign" if listing.benign else "listed") for listing in one.listings
    )


def _command_sign(test: Test, command: Command, layers: Sequence[Layer]) -> Sign:
    text = layers[command.layer].text[command.start : min(command.end, command.start + 160)]
    return Sign(command.layer, command.start, command.end, text, test.name)


def _layer_sign(test: Test, layer: Layer) -> Sign:
    return Sign(layer.parent or 0, layer.start, layer.end, f"{layer.kind}: {layer.text[:120]}", test.name)


def _indicator_sign(test: Test, one: Indicator, layers: Sequence[Layer]) -> Sign:
    return Sign(one.layer, one.start, one.end, layers[one.layer].text[one.start : one.end][:160], test.name)


def _held(definition: Definition, signs: Mapping[str, Sign]) -> Capability | None:
    if any(f"{definition.id}/{name}" in signs for name in definition.unless):
        return None
    for alternative in definition.alternatives:
        if all(f"{definition.id}/{name}" in signs for name in alternative):
            shown = tuple(signs[f"{definition.id}/{name}"] for name in alternative)
            return Capability(
                definition.id, definition.title, definition.family, definition.techniques, definition.weight,
                definition.why, shown,
            )  # fmt: skip
    return None


def load(texts: Iterable[tuple[str, str]], *, checked: bool = True) -> Catalogue:
    """A catalogue from YAML files given as (name, text); ids are unique. `checked`: everything in it is compiled."""
    definitions: dict[str, Definition] = {}
    for source, text in texts:
        try:
            documents = list(yaml.load_all(text, Loader=_LOADER))
        except yaml.YAMLError as error:
            raise ContentError(f"this is no YAML: {error}", where=source) from None
        for document in documents:
            one = parse(document, source, checked=checked)
            if one.id in definitions:
                raise ContentError(f"the id {one.id} is taken by {definitions[one.id].source}", where=source)
            definitions[one.id] = one
    catalogue = Catalogue(list(definitions.values()))
    if checked:
        catalogue.check()
    return catalogue


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@lru_cache(maxsize=1)
def packaged() -> Catalogue:
    """The capabilities that ship with Perilune, without their samples: reading and checking those is for the tests."""
    return load(((name, text.partition("\nsamples:\n")[0]) for name, text in packaged_texts()), checked=False)


def packaged_texts() -> list[tuple[str, str]]:
    """The packaged files, as (name, text)."""
    folder = files("perilune") / "content" / "capabilities"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".yml")), key=lambda one: one.name)
    return [(one.name, one.read_text(encoding="utf-8")) for one in found]
