"""The MCP server (`perilune mcp`): tools that a model may call to hunt, ask, explain and plan, over standard input.

Reading only, unless the server was started with a token; then the acting tools are there too, and do what the token's
user may do in the console, by the same approvals. What each tool does is in `mcp_desk.py`; how its answer is bounded
and marked, in `mcp_answers.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from perilune import __version__
from perilune.errors import PeriluneError
from perilune.report.text import visible
from perilune.web.mcp_answers import NOTICE, answer_text
from perilune.web.mcp_desk import PARTS, Desk, Plain

PLAYBOOK = "T1059 - Command and Scripting Interpreter"
INSTRUCTIONS = (
    "Perilune detects and explains the abuse of script and command interpreters (ATT&CK T1059). Find cases with "
    "list_cases or hunt, read one with get_case, ask logs in KQL with kql, explain a command with analyze_command. "
    "`unknown` is an answer: it says which log is missing; it never means harmless. " + NOTICE
)
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
ACTS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True)

Path_ = Annotated[str, Field(max_length=4_000, description="A file or folder in a folder that the server may read.")]
Paths = Annotated[list[Path_], Field(min_length=1, max_length=100, description="Files or folders of logs.")]
LevelWord = Annotated[str, Field(max_length=20, description="informational, low, medium, high or critical.")]
Language = Annotated[
    str, Field(max_length=40, description="What it is written in, if known: powershell, posix, lua, …")
]
CaseId = Annotated[str, Field(max_length=40, description="Such as C-12.")]
RunId = Annotated[str, Field(max_length=40, description="Such as R-3.")]
Inputs = Annotated[dict[str, str], Field(max_length=50, description="Inputs of the playbook, by name.")]
Hash = Annotated[str, Field(min_length=64, max_length=64, description="The hash of the plan that was proposed.")]
Reason = Annotated[str, Field(min_length=1, max_length=2_000, description="Why, for the record.")]
Playbook = Annotated[str, Field(max_length=200, description="A playbook's name, or how it begins.")]
Numbers = Annotated[list[int], Field(max_length=1_000, description="Only these actions; all of them if empty.")]


def make_server(desk: Desk) -> MCPServer:
    """The server, with the acting tools only where there is a token."""
    logging.getLogger("mcp").setLevel(logging.ERROR)
    server = MCPServer("perilune", version=__version__, instructions=INSTRUCTIONS, log_level="ERROR")
    _add_reading(server, desk)
    if desk.token:
        _add_acting(server, desk)
    return server


def _add_reading(server: MCPServer, desk: Desk) -> None:
    tool = server.tool(annotations=READS, structured_output=False)

    def hunt(paths: Paths, level: LevelWord = "low") -> CallToolResult:
        """Hunt in log files with the detection rules, and list the cases found. Keeps nothing."""
        return answered(lambda: desk.hunt(paths, level))

    def kql(query: Annotated[str, Field(max_length=50_000)], paths: Paths) -> CallToolResult:
        """Ask log files in KQL, in the tables of Defender's advanced hunting (DeviceProcessEvents, …)."""
        return answered(lambda: desk.kql(query, paths))

    def analyze_command(
        command_line: Annotated[str, Field(max_length=100_000)], language: Language = ""
    ) -> CallToolResult:
        """Explain a command line: decoded layers, commands, capabilities, indicators, score. Runs nothing of it."""
        return answered(lambda: desk.analyze_command(command_line, language))

    def analyze_file(path: Path_, language: Language = "") -> CallToolResult:
        """Explain a script, a list of command lines, or Lua (source or compiled)."""
        return answered(lambda: desk.analyze_file(path, language))

    def list_cases(
        level: LevelWord = "informational", limit: Annotated[int, Field(ge=1, le=100)] = 25
    ) -> CallToolResult:
        """The stored cases of a severity and above, the most urgent first."""
        return answered(lambda: desk.list_cases(level, limit))

    def get_case(
        case_id: CaseId, part: Annotated[str, Field(description=f"One of {', '.join(PARTS)}.")] = "summary"
    ) -> CallToolResult:
        """A stored case: verdict, reasons and answers; or its findings, tree, timeline, facts or record."""
        return answered(lambda: desk.get_case(case_id, part))

    def propose_plan(case_id: CaseId, playbook: Playbook = PLAYBOOK, inputs: Inputs | None = None) -> CallToolResult:
        """What a playbook would do about a case, with the exact requests. A dry run: changes and keeps nothing."""
        return answered(lambda: desk.propose_plan(case_id, playbook, inputs or {}))

    for one in (hunt, kql, analyze_command, analyze_file, list_cases, get_case, propose_plan):
        tool(one)


def _add_acting(server: MCPServer, desk: Desk) -> None:
    tool = server.tool(annotations=ACTS, structured_output=False)

    def start_run(
        case_id: CaseId, plan_hash: Hash, playbook: Playbook = PLAYBOOK, inputs: Inputs | None = None
    ) -> CallToolResult:
        """Begin the run of a plan that was proposed. Actions that need an approval wait for another person's."""
        return answered(lambda: desk.start_run(case_id, playbook, inputs or {}, plan_hash))

    def decide_run(
        run_id: RunId, granted: bool, reason: Reason, plan_hash: Hash, actions: Numbers | None = None
    ) -> CallToolResult:
        """Approve or deny a run's exact plan, as the token's user, who must not be who began it."""
        return answered(lambda: desk.decide_run(run_id, granted, reason, plan_hash, actions or []))

    def undo_run(run_id: RunId, reason: Reason) -> CallToolResult:
        """Take back what a run did, last first, as a run of its own."""
        return answered(lambda: desk.undo_run(run_id, reason))

    def get_run(run_id: RunId) -> CallToolResult:
        """A run: its plan, how far it is, and what came of each action."""
        return answered(lambda: desk.get_run(run_id))

    for one in (start_run, decide_run, undo_run):
        tool(one)
    server.tool(annotations=READS, structured_output=False)(get_run)


def answered(find: Callable[[], Plain]) -> CallToolResult:
    """The answer, or what is wrong with the question: both marked, for an error may quote a log."""
    try:
        return _result(answer_text(find()), is_error=False)
    except PeriluneError as error:
        return _result(answer_text({"error": visible(str(error))}), is_error=True)


def _result(text: str, *, is_error: bool) -> CallToolResult:
    notice = TextContent(type="text", text=NOTICE)
    return CallToolResult(content=[notice, TextContent(type="text", text=text)], is_error=is_error)
