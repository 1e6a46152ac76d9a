"""`perilune validate`: harmless tests run here on purpose, and which rule found each."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from perilune.cli.main import EXIT_FOUND, EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import ContentError, UsageError

if TYPE_CHECKING:
    from perilune.model.atomics import Atomic
    from perilune.service.validation.trials import Progress, Validation

LEVELS = ("informational", "low", "medium", "high", "critical")


@click.command(short_help="Run harmless tests here and say which rule found each.")
@click.option("--technique", "-t", "techniques", multiple=True, help="Only tests of this technique (repeatable).")
@click.option("--test", "tests", multiple=True, help="Only the test with this id, GUID or name (repeatable).")
@click.option(
    "--atomics",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file or folder of tests to use instead of Perilune's own (repeatable).",
)
@click.option("--list", "only_list", is_flag=True, help="List the tests and run none.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="low",
    show_default=True,
    help="A rule of a lower level does not count as having found a test.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep each test's audit log in this folder, for `perilune hunt`.",
)
@click.option("--allow-root", is_flag=True, help="Let tests that ask for it run as root.")
@click.option(
    "--timeout", type=click.FloatRange(1, 600), default=30, show_default=True, help="Seconds for one command."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `tests`.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def validate(
    techniques: tuple[str, ...],
    tests: tuple[str, ...],
    paths: tuple[Path, ...],
    only_list: bool,
    level: str,
    keep: Path | None,
    allow_root: bool,
    timeout: float,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run harmless tests on this machine, record them by the kernel's audit, and say which rule found each.

    Needs root, for the audit only: each test runs as a user that exists for it, in a network of its own, and cleans up
    after itself; what is left is looked for from outside. The audit's rules and state are put back.

    Exits with 0 where every test that was run was found by a rule of its own technique and nothing was left behind,
    with 1 where one was missed or left something, with 2 where this machine cannot be recorded, with 3 where nothing
    can be said: records were lost, a file of tests is wrong, or no test could be run.
    """
    from perilune.service.validation.atomics import load_atomics

    loaded = load_atomics(paths)
    chosen = choose(loaded.atomics, techniques, tests)
    for fault in loaded.faults:
        click.echo(f"perilune: {fault}", err=True)
    if not chosen:
        raise UsageError("no such test", hint="`perilune validate --list` shows them")
    if only_list:
        _list(chosen, as_json=as_json)
        return EXIT_PARTIAL if loaded.faults else EXIT_NOTHING
    found = _run(chosen, level, keep, allow_root, timeout, quiet=quiet)
    _print(found, keep, as_json=as_json)
    return exit_code(found, loaded.faults)


def choose(atomics: Sequence[Atomic], techniques: Sequence[str], tests: Sequence[str]) -> list[Atomic]:
    """The tests asked for: `t1059` takes every sub-technique with it."""
    wanted = [name.upper().removeprefix("ATTACK.") for name in techniques]
    named = {name.lower() for name in tests}
    return [
        atomic
        for atomic in atomics
        if (not wanted or any(atomic.technique == one or atomic.technique.startswith(f"{one}.") for one in wanted))
        and (not named or named & {atomic.id.lower(), atomic.guid.lower(), atomic.name.lower()})
    ]


def exit_code(found: Validation, faults: Sequence[ContentError] = ()) -> int:
    """3 outranks 1: an answer from partial records must not pass for a whole one."""
    from perilune.service.validation.trials import State

    ran = len(found.trials) - found.count(State.NOT_RUN)
    if not ran or faults or not found.is_sound:
        return EXIT_PARTIAL
    return EXIT_FOUND if found.count(State.MISSED) or not found.is_clean else EXIT_NOTHING


def _list(chosen: Sequence[Atomic], *, as_json: bool) -> None:
    from perilune.cli import output, validate_output

    if as_json:
        click.echo(output.dump({"tests": [validate_output.atomic_object(one) for one in chosen]}))
    else:
        validate_output.print_list(chosen)


def _run(
    chosen: Sequence[Atomic], level: str, keep: Path | None, root: bool, timeout: float, *, quiet: bool
) -> Validation:
    from perilune import settings
    from perilune.model.rules import Level
    from perilune.service.validation import trials

    configured = settings.load()
    wish = trials.Wish(
        least=Level[level.upper()],
        root=root,
        keep=keep,
        rules=configured.rules,
        content=configured.content if configured.content.is_dir() else None,
        cache=configured.cache,
        timeout=timeout,
    )
    before = signal.signal(signal.SIGTERM, _stop)  # so that what was changed is put back
    try:
        return trials.validate(chosen, wish, None if quiet else _progress(len(chosen)))
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _progress(total: int) -> Progress:
    from perilune.cli.console import err

    count = 0

    def show(atomic: Atomic) -> None:
        nonlocal count
        count += 1
        if err.is_terminal:
            click.echo(f"\r\033[K{count}/{total}  {atomic.id}", err=True, nl=count == total)

    return show


def _print(found: Validation, keep: Path | None, *, as_json: bool) -> None:
    from perilune.cli import output, validate_output

    if as_json:
        click.echo(output.dump(validate_output.validation_object(found, keep)))
    else:
        validate_output.print_validation(found, keep)
