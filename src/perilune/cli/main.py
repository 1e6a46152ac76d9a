"""The `perilune` command: its sub-commands, its exit codes, and the one place where errors become lines."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from perilune import __version__
from perilune.errors import PeriluneError, UsageError

# name -> (module:attribute, what it does). Help is here so that listing the commands imports none of them.
COMMANDS = {
    "hunt": ("perilune.cli.hunt:hunt", "Read logs and list the cases found in them, most urgent first."),
    "watch": ("perilune.cli.watch:watch", "Follow live sources, and make cases of what is found in them."),
    "import": ("perilune.cli.import_alerts:import_alerts", "Make cases of other products' alerts."),
    "analyze": (
        "perilune.cli.analyze:analyze",
        "Explain a command line or a script: layers, indicators, capabilities, score.",
    ),
    "case": ("perilune.cli.case:case", "List and show stored cases."),
    "report": ("perilune.cli.case:report", "Write a case as one self-contained HTML or Markdown file."),
    "respond": ("perilune.cli.respond:respond", "Run a playbook for a case: plan, approve, act, verify."),
    "approve": ("perilune.cli.respond:approve", "Approve a run's plan or single actions of it, and go on."),
    "deny": ("perilune.cli.respond:deny", "Deny a run's plan or single actions of it."),
    "undo": ("perilune.cli.respond:undo", "Take back what a run did."),
    "recover": ("perilune.cli.respond:recover", "Give a case's host back: the recovery plan."),
    "close": ("perilune.cli.respond:close", "Close a case."),
    "plan": ("perilune.cli.plan:plan", "Show a run's plan with its exact requests."),
    "runs": ("perilune.cli.runs:runs", "List, show, resume and cancel runs of playbooks."),
    "playbook": ("perilune.cli.playbook:playbook", "List, show and check playbooks."),
    "audit": ("perilune.cli.audit:audit", "Verify and export the record of decisions and effects."),
    "kql": ("perilune.cli.kql:kql", "Ask a log in KQL, as in Defender's advanced hunting."),
    "fetch": ("perilune.cli.fetch:fetch", "Fetch a product's live table into a file, to hunt in."),
    "sources": ("perilune.cli.sources:sources", "List the formats that are understood, explain a file."),
    "convert": ("perilune.cli.convert:convert", "Write the tables that logs become as Parquet."),
    "rules": ("perilune.cli.rules:rules", "List the rules, what was refused, and explain a match."),
    "baseline": ("perilune.cli.baseline:baseline", "Learn from older logs how interpreters are used here."),
    "lists": ("perilune.cli.lists:lists", "Fetch indicator lists from the feeds that the settings name."),
    "serve": ("perilune.cli.serve:serve", "Serve the web console and the REST API."),
    "validate": ("perilune.cli.validate:validate", "Run harmless tests here and say which rule found each."),
    "mcp": ("perilune.cli.mcp:mcp", "Serve tools for a model (MCP), reading only unless given a token."),
    "backup": ("perilune.cli.backup:backup", "Copy the case store while it is in use, and check the copy."),
    "doctor": ("perilune.cli.doctor:doctor", "Say what this machine can and cannot do."),
    "completion": ("perilune.cli.completion:completion", "Print the completion script of a shell."),
}

EXIT_NOTHING = 0
EXIT_FOUND = 1
EXIT_USAGE = 2
EXIT_PARTIAL = 3
EXIT_INTERNAL = 4


class LazyCommands(click.Group):
    """Knows its commands by name and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perilune")
def cli() -> None:
    """Find, explain and answer the abuse of script and command interpreters (ATT&CK T1059).

    Start with:  perilune hunt FOLDER-OF-LOGS   or   perilune hunt --demo

    Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 wrong usage,
    3 some input could not be read in full (whatever was found), 4 a fault of Perilune's own.
    """


def main() -> NoReturn:
    """Runs the command line; every fault of the user's or of the input is one line on stderr."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _say("stopped")
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except UsageError as error:
        _say(str(error))
        code = EXIT_USAGE
    except PeriluneError as error:
        _say(str(error))
        code = EXIT_USAGE
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except KeyboardInterrupt:
        _say("stopped")
        code = 130
    except Exception as error:
        if os.environ.get("PERILUNE_TRACEBACK"):
            raise
        _say(
            f"a fault in Perilune: {type(error).__name__}: {error} "
            "(set PERILUNE_TRACEBACK=1 and run again for the details to report)"
        )
        code = EXIT_INTERNAL
    sys.exit(code or 0)


def _say(line: str) -> None:
    from perilune.report.text import visible

    click.echo(f"perilune: {visible(line)}", err=True)


if __name__ == "__main__":
    main()
