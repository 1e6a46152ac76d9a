"""What the CACAO 2.0 specification demands of a playbook beyond its types, and what Perilune needs to run it.

Each check is a small function from a playbook to faults. `lint_playbook` runs them all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from perilune.errors import ContentError
from perilune.model.actions import Kind, TargetType
from perilune.response import cacao
from perilune.response.conditions import parse_condition, variables_of
from perilune.response.kinds import KINDS
from perilune.response.playbook import Fault, responses

_NAME = re.compile(cacao.VARIABLE_NAME)
_USE = re.compile(r"(__[a-zA-Z][a-zA-Z0-9_-]{0,199}?__):value")
_IDENTIFIER = re.compile(cacao.Identifier.__metadata__[0].pattern)  # type: ignore[attr-defined]

# The words of `each`, and which targets they give.
EACH: Mapping[str, TargetType] = {
    "hosts": TargetType.HOST,
    "processes": TargetType.PROCESS,
    "files": TargetType.FILE,
    "addresses": TargetType.ADDRESS,
    "domains": TargetType.DOMAIN,
    "urls": TargetType.URL,
    "hashes": TargetType.HASH,
    "accounts": TargetType.ACCOUNT,
    "interpreters": TargetType.INTERPRETER,
    "case": TargetType.CASE,
}
# What a step can look up, and the variables that it answers with.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "command-line": ("__verdict__", "__score__", "__decoded_layers__", "__indicators__", "__capabilities__"),
    "related": ("__related__", "__tactics__", "__other_findings__"),
}


def lint_playbook(playbook: cacao.Playbook) -> tuple[Fault, ...]:
    """Every fault, in the order of the document."""
    return tuple(fault for check in _CHECKS for fault in check(playbook))


def lint_library(library: Mapping[str, cacao.Playbook]) -> tuple[Fault, ...]:
    """Faults between playbooks: one that is called and not there, or that calls itself."""
    faults: list[Fault] = []
    for playbook in library.values():
        for key, step in playbook.workflow.items():
            if isinstance(step, cacao.PlaybookStep) and step.playbook_id not in library:
                faults.append(Fault(f"$.workflow[{key!r}].playbook_id", f"no playbook {step.playbook_id} is known"))
        if playbook.id in _called(library, playbook.id):
            faults.append(Fault("$.workflow", f"{playbook.name!r} calls itself, directly or through another"))
    return tuple(faults)


def _called(library: Mapping[str, cacao.Playbook], start: str) -> set[str]:
    found: set[str] = set()
    queue = [start]
    while queue:
        playbook = library.get(queue.pop())
        for step in playbook.workflow.values() if playbook else ():
            if isinstance(step, cacao.PlaybookStep) and step.playbook_id not in found:
                found.add(step.playbook_id)
                queue.append(step.playbook_id)
    return found


def next_steps(step: cacao.WorkflowStep) -> list[tuple[str, str]]:
    """The steps that one may lead to, each with the property that says so."""
    plain = [(n, getattr(step, n)) for n in ("on_completion", "on_success", "on_failure")]
    if isinstance(step, cacao.Parallel):
        plain = [(f"next_steps[{n}]", one) for n, one in enumerate(step.next_steps)] + plain
    if isinstance(step, cacao.IfCondition | cacao.WhileCondition):
        plain = [("on_true", step.on_true), ("on_false", getattr(step, "on_false", None)), *plain]
    if isinstance(step, cacao.SwitchCondition):
        plain = [(f"cases[{value!r}]", one) for value, one in step.cases.items()] + plain
    return [(name, one) for name, one in plain if one]


def _at(key: str, *more: str) -> str:
    return ".".join([f"$.workflow[{key!r}]", *more])


def _metadata(playbook: cacao.Playbook) -> Iterator[Fault]:
    if not playbook.id.startswith("playbook--"):
        yield Fault("$.id", "a playbook's id begins with playbook--")
    if not playbook.created_by.startswith("identity--"):
        yield Fault("$.created_by", "must be a STIX identity")
    if playbook.modified < playbook.created:
        yield Fault("$.modified", "is earlier than created")
    if playbook.valid_from and playbook.valid_until and playbook.valid_until <= playbook.valid_from:
        yield Fault("$.valid_until", "is not later than valid_from")
    if set(playbook.playbook_types) & set(cacao.PLAYBOOK_TYPES) and not playbook.playbook_activities:
        yield Fault("$.playbook_activities", "must name at least one activity, because playbook_types is given")


def _identifiers(playbook: cacao.Playbook) -> Iterator[Fault]:
    for key, step in playbook.workflow.items():
        tag = step.__struct_config__.tag
        if not _IDENTIFIER.match(key) or not key.startswith(f"{tag}--"):
            yield Fault(_at(key), f"the key of this step must be {tag}--UUID")
        elif key[len(f"{tag}--") :][14] != "4":
            yield Fault(_at(key), "the UUID of a step must be of version 4")
    maps = ("agent_definitions", "target_definitions", "authentication_info_definitions", "data_marking_definitions")
    for name in maps:
        for key, one in getattr(playbook, name).items():
            if not _IDENTIFIER.match(key) or not key.startswith(f"{one.__struct_config__.tag}--"):
                yield Fault(f"$.{name}[{key!r}]", f"the key must be {one.__struct_config__.tag}--UUID")
    uses = Counter(key.split("--", 1)[-1] for key in {*playbook.workflow, *playbook.agent_definitions, playbook.id})
    yield from (Fault("$", f"the UUID {uuid} is used for {n} objects") for uuid, n in uses.items() if n > 1)


def _start_and_exception(playbook: cacao.Playbook) -> Iterator[Fault]:
    if not isinstance(playbook.workflow.get(playbook.workflow_start), cacao.Start):
        yield Fault("$.workflow_start", f"{playbook.workflow_start} is no start step of the workflow")
    if playbook.workflow_exception and playbook.workflow_exception not in playbook.workflow:
        yield Fault("$.workflow_exception", f"{playbook.workflow_exception} is no step of the workflow")
    kinds = {type(step) for step in playbook.workflow.values()}
    if cacao.End not in kinds:
        yield Fault("$.workflow", "has no end step")
    if not kinds & {cacao.ActionStep, cacao.PlaybookStep}:
        yield Fault("$.workflow", "has no action and no playbook-action step")


def _pointers(playbook: cacao.Playbook) -> Iterator[Fault]:
    for key, step in playbook.workflow.items():
        for name, target in next_steps(step):
            if target not in playbook.workflow:
                yield Fault(_at(key, name), f"{target} is no step of the workflow")
            elif isinstance(playbook.workflow[target], cacao.Start):
                yield Fault(_at(key, name), "leads back to a start step")
        yield from _completion(key, step)


def _completion(key: str, step: cacao.WorkflowStep) -> Iterator[Fault]:
    either = step.on_success or step.on_failure
    if step.on_completion and either:
        yield Fault(_at(key, "on_completion"), "must not stand beside on_success or on_failure")
    if isinstance(step, cacao.End):
        if step.on_completion or either:
            yield Fault(_at(key), "an end step leads nowhere")
    elif isinstance(step, cacao.Start) and either:
        yield Fault(_at(key), "a start step has neither on_success nor on_failure")
    elif not step.on_completion and not step.on_success:
        yield Fault(_at(key), "has neither on_completion nor on_success, so the workflow stops in mid-air")


def _reach(playbook: cacao.Playbook) -> Iterator[Fault]:
    """Steps that nothing leads to, and circles: only a while step may come again."""
    begun = [one for one in (playbook.workflow_start, playbook.workflow_exception) if one]
    seen: set[str] = set()
    queue = list(begun)
    while queue:
        key = queue.pop()
        if key in seen or key not in playbook.workflow:
            continue
        seen.add(key)
        queue += [target for _, target in next_steps(playbook.workflow[key])]
    yield from (Fault(_at(key), "nothing leads to this step") for key in playbook.workflow if key not in seen)
    if circle := _circle(playbook, begun):
        yield Fault(_at(circle), "leads back to itself; only a while-condition repeats")


def _circle(playbook: cacao.Playbook, begun: Iterable[str]) -> str | None:
    done: set[str] = set()
    path: list[str] = []
    stack: list[tuple[str, bool]] = [(one, False) for one in begun]
    while stack:
        key, leaving = stack.pop()
        if leaving:
            done.add(path.pop())
        elif key in path:
            return key
        elif key not in done and key in playbook.workflow:
            path.append(key)
            stack.append((key, True))
            stack += [(target, False) for _, target in next_steps(playbook.workflow[key])]
    return None


def _variables(playbook: cacao.Playbook) -> Iterator[Fault]:
    for place, variables in _variable_maps(playbook):
        for name, variable in variables.items():
            if not _NAME.match(name):
                yield Fault(f"{place}[{name!r}]", "a variable's name is __name__, beginning with a letter")
            if variable.type not in cacao.VARIABLE_TYPES:
                yield Fault(f"{place}[{name!r}].type", f"unknown type {variable.type!r}")
    for key, step in playbook.workflow.items():
        declared = {**playbook.playbook_variables, **step.step_variables}
        yield from _arguments(key, step, declared)
        for name in _USE.findall(_texts(step)):
            if name not in declared:
                yield Fault(_at(key), f"uses {name}, which is declared nowhere")


def _variable_maps(playbook: cacao.Playbook) -> Iterator[tuple[str, Mapping[str, cacao.Variable]]]:
    yield "$.playbook_variables", playbook.playbook_variables
    for key, step in playbook.workflow.items():
        yield _at(key, "step_variables"), step.step_variables


def _arguments(key: str, step: cacao.WorkflowStep, declared: Mapping[str, cacao.Variable]) -> Iterator[Fault]:
    for part in ("in_args", "out_args"):
        for name in getattr(step, part, ()):
            if name not in declared:
                yield Fault(_at(key, part), f"{name} is declared nowhere")
            elif part == "out_args" and declared[name].constant:
                yield Fault(_at(key, part), f"{name} is a constant")


def _texts(step: cacao.WorkflowStep) -> str:
    parts = [step.name, step.description]
    if isinstance(step, cacao.ActionStep):
        parts += [str(getattr(command, "command", "") or "") for command in step.commands]
    return "\n".join(parts)


def _conditions(playbook: cacao.Playbook) -> Iterator[Fault]:
    for key, step in playbook.workflow.items():
        declared = {*playbook.playbook_variables, *step.step_variables}
        if isinstance(step, cacao.IfCondition | cacao.WhileCondition):
            try:
                names = variables_of(parse_condition(step.condition))
            except ContentError as error:
                yield Fault(_at(key, "condition"), str(error))
                continue
            yield from (Fault(_at(key, "condition"), f"{n} is declared nowhere") for n in names if n not in declared)
        elif isinstance(step, cacao.SwitchCondition):
            name = step.switch.removesuffix(":value")
            if name == step.switch or name not in declared:
                yield Fault(_at(key, "switch"), f"{step.switch!r} is no declared variable followed by ':value'")


def _references(playbook: cacao.Playbook) -> Iterator[Fault]:
    for key, step in playbook.workflow.items():
        if isinstance(step, cacao.ActionStep):
            if step.agent not in playbook.agent_definitions:
                yield Fault(_at(key, "agent"), f"{step.agent} is not in agent_definitions")
            for target in step.targets:
                if target not in playbook.target_definitions:
                    yield Fault(_at(key, "targets"), f"{target} is not in target_definitions")
        for extension in step.step_extensions:
            if extension not in playbook.extension_definitions:
                yield Fault(_at(key, "step_extensions"), f"{extension} is not in extension_definitions")
    for marking in playbook.markings:
        if marking not in playbook.data_marking_definitions:
            yield Fault("$.markings", f"{marking} is not in data_marking_definitions")
    for name in ("agent_definitions", "target_definitions"):
        for key, one in getattr(playbook, name).items():
            used = getattr(one, "authentication_info", None)
            if used and used not in playbook.authentication_info_definitions:
                yield Fault(f"$.{name}[{key!r}].authentication_info", f"{used} is not defined")


def _commands(playbook: cacao.Playbook) -> Iterator[Fault]:
    for key, step in playbook.workflow.items():
        for number, command in enumerate(step.commands if isinstance(step, cacao.ActionStep) else ()):
            place = _at(key, f"commands[{number}]")
            if isinstance(command, cacao.Manual | cacao.Bash | cacao.CalderaCmd | cacao.PowerShell | cacao.Ssh) and (
                (command.command is None) == (command.command_b64 is None)
            ):
                yield Fault(place, "needs one of command and command_b64, and not both")
            start_line = getattr(command, "command", "") or ""
            if isinstance(command, cacao.HttpApi | cacao.OpenC2Http) and len(start_line.split()) != 3:
                yield Fault(place, "the command must be an HTTP start line: method, target, version")
            if isinstance(command, cacao.OpenC2Http) and not start_line.startswith("POST "):
                yield Fault(place, "an OpenC2 command is sent with POST")


def _signatures(playbook: cacao.Playbook) -> Iterator[Fault]:
    for number, one in enumerate(playbook.signatures):
        keys = [one.public_key, one.public_cert_chain, one.cert_url, one.thumbprint]
        if sum(bool(key) for key in keys) != 1:
            yield Fault(
                f"$.signatures[{number}]", "needs exactly one of public_key, public_cert_chain, cert_url, thumbprint"
            )
        if one.related_to != playbook.id:
            yield Fault(f"$.signatures[{number}].related_to", "is not this playbook's id")


def _summary(playbook: cacao.Playbook) -> Iterator[Fault]:
    said = playbook.playbook_processing_summary
    if said is None:
        return
    kinds = {type(step) for step in playbook.workflow.values()}
    true = {
        "external_playbooks": cacao.PlaybookStep in kinds,
        "parallel_processing": cacao.Parallel in kinds,
        "if_logic": cacao.IfCondition in kinds,
        "while_logic": cacao.WhileCondition in kinds,
        "switch_logic": cacao.SwitchCondition in kinds,
        "temporal_logic": any(step.delay or step.timeout for step in playbook.workflow.values()),
        "data_markings": bool(playbook.markings),
        "digital_signatures": bool(playbook.signatures),
        "extensions": bool(playbook.extension_definitions),
    }
    for name, value in true.items():
        if getattr(said, name) != value:
            yield Fault(f"$.playbook_processing_summary.{name}", f"should be {str(value).lower()}")


def _runnable(playbook: cacao.Playbook) -> Iterator[Fault]:
    """What Perilune needs: action steps are manual, alone or with the extension; nothing else is run here."""
    said = responses(playbook)
    for key, step in playbook.workflow.items():
        if not isinstance(step, cacao.ActionStep):
            if key in said:
                yield Fault(_at(key, "step_extensions"), "Perilune's extension belongs to action steps only")
            continue
        for number, command in enumerate(step.commands):
            tag = command.__struct_config__.tag
            if not isinstance(command, cacao.Manual):
                yield Fault(
                    _at(key, f"commands[{number}]"),
                    f"Perilune does not run {tag!r} commands; give the step a manual one and the extension",
                )
        if key in said:
            yield from _response(key, said[key], step, playbook)


def _response(key: str, said: cacao.Response, step: cacao.ActionStep, playbook: cacao.Playbook) -> Iterator[Fault]:
    place = _at(key, "step_extensions")
    if sum(map(bool, (said.action, said.look, said.question))) != 1:
        yield Fault(place, "needs exactly one of action, look and question")
    declared = {*playbook.playbook_variables, *step.step_variables}
    if said.action:
        yield from _action(place, said)
    if said.look and said.look not in TOPICS:
        yield Fault(place, f"unknown topic {said.look!r}; known are {', '.join(TOPICS)}")
    for name in step.out_args if said.look in TOPICS else ():
        if name not in TOPICS[said.look]:
            yield Fault(place, f"{said.look!r} does not answer with {name}")
    if said.question and (len(said.choices) < 2 or said.answer not in declared):
        yield Fault(place, "a question needs at least two choices and a declared variable as its answer")
    if said.approval not in ("required", "automatic") and said.approval not in declared:
        yield Fault(place, f"approval is required, automatic, or a declared variable, not {said.approval!r}")


def _action(place: str, said: cacao.Response) -> Iterator[Fault]:
    if said.action not in set(Kind):
        yield Fault(place, f"unknown action {said.action!r}; known are {', '.join(Kind)}")
    elif said.each not in EACH:
        yield Fault(place, f"unknown {said.each!r} in each; known are {', '.join(EACH)}")
    elif EACH[said.each] not in KINDS[Kind(said.action)].targets:
        yield Fault(place, f"{said.action} is not done to {said.each}")


_CHECKS: tuple[Callable[[cacao.Playbook], Iterator[Fault]], ...] = (
    _metadata,
    _identifiers,
    _start_and_exception,
    _pointers,
    _reach,
    _variables,
    _conditions,
    _references,
    _commands,
    _signatures,
    _summary,
    _runnable,
)
