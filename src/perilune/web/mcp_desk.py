"""What the tools of the MCP server do. Reading needs nothing; acting needs a token whose user may, each time anew.

Files are read from the folders that the person who started the server allowed, and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from perilune.errors import UsageError
from perilune.model.roles import ACTS, Act
from perilune.model.rules import Level
from perilune.settings import Settings
from perilune.web.mcp_files import Folders

if TYPE_CHECKING:
    from perilune.model.actions import Plan
    from perilune.model.case import Case
    from perilune.ports import Connector
    from perilune.service.office import Office

SCRIPT_MOST = 4 << 20
COMMAND_MOST = 100_000  # characters
QUERY_MOST = 50_000  # characters
QUERY_SECONDS = 60.0
ROWS_MOST = 200
CASES_MOST = 100
NOBODY = "mcp"  # who reads where no token says who it is

PARTS = ("summary", "findings", "tree", "timeline", "facts", "record")
Plain = dict[str, object]


@dataclass(frozen=True, slots=True)
class Desk:
    """One server's settings, as the person who started it chose them.

    folders    that files may be read from
    connector  what plans and runs are made with; no model chooses it
    token      an API token; without one nothing can be done but reading
    run_lua    whether analysed Lua is run in the cage
    """

    settings: Settings
    folders: Folders = field(default_factory=Folders)
    connector: str = "simulated"
    token: str = ""
    run_lua: bool = False

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def hunt(self, paths: Sequence[str], level: str) -> Plain:
        """Cases in logs. Nothing is kept."""
        from perilune import pipeline
        from perilune.cli import output

        least = _level(level)
        found = pipeline.hunt(
            self.folders.logs(paths),
            rules=self.settings.rules,
            content=self._content,
            cache=self.settings.cache,
            choice=pipeline.Choice(least),
        )
        try:
            cases = [output.case_object(one, whole=False) | {"findings": _findings(one)} for one in found.cases[:20]]
            return {
                "cases": cases,
                "cases_found": len(found.cases),
                "findings_found": len(found.findings),
                "rules_used": found.rules,
                "input": output.input_object(found.sources),
            }
        finally:
            found.spool.close()

    def kql(self, query: str, paths: Sequence[str]) -> Plain:
        """The rows of a KQL query over logs."""
        from perilune import querying
        from perilune.cli.output import input_object
        from perilune.detection.kql.running import Limits, open_session

        if len(query) > QUERY_MOST:
            raise UsageError(f"a query of more than {QUERY_MOST:,} characters")
        querying.check(query)
        sources, tables = querying.read(self.folders.logs(paths))
        limits = Limits(seconds=QUERY_SECONDS, memory_mb=2048, rows=ROWS_MOST)
        with open_session(tables, limits) as session:
            result = session.run(query, querying.clock_of(None, tables))
            rows = list(querying.plain_rows(result))
        return {
            "columns": [{"name": name, "type": kind.value} for name, kind in result.columns],
            "rows": rows,
            "more_rows": result.cut,
            "input": input_object(tuple(sources)),
        }

    def analyze_command(self, command_line: str, language: str) -> Plain:
        if len(command_line) > COMMAND_MOST:
            raise UsageError(f"a command line of more than {COMMAND_MOST:,} characters")
        return self._analyzed(None, command_line.encode("utf-8", "surrogatepass"), language)

    def analyze_file(self, path: str, language: str) -> Plain:
        file = self.folders.confined(path)
        if not file.is_file():
            raise UsageError("is no file", where=path)
        if file.stat().st_size > SCRIPT_MOST:
            raise UsageError(f"is larger than {SCRIPT_MOST:,} bytes", where=path)
        with file.open("rb") as stream:
            return self._analyzed(file, stream.read(SCRIPT_MOST), language)

    def _analyzed(self, file: Path | None, data: bytes, language: str) -> Plain:
        from perilune.cli import analyze, analyze_output

        found, parts = analyze.look_at(file, data, language, run=self.run_lua)
        plain = orjson.loads(analyze_output.dump(found, parts))
        assert isinstance(plain, dict)
        return plain

    def list_cases(self, level: str, limit: int) -> Plain:
        from perilune.cli.output import summary_object

        with self._office() as office:
            found = office.cases.queue(limit=max(1, min(limit, CASES_MOST)), least=_level(level))
            return {"cases": [summary_object(one) for one in found], "total": office.cases.count()}

    def get_case(self, case_id: str, part: str) -> Plain:
        """One case, or one part of it."""
        from perilune.cli.output import case_object

        if part not in PARTS:
            raise UsageError(f"there is no part {part!r}", hint=f"parts are: {', '.join(PARTS)}")
        with self._office() as office:
            found = office.cases.load(case_id)
            self._note(office, "case read", {"case": found.id, "as": "mcp"})
        if part == "summary":
            return {"case": case_object(found, whole=False)}
        whole = case_object(found, whole=True)
        names = {"tree": ("tree", "tree_cut"), "timeline": ("timeline", "timeline_cut"), "record": ("entries",)}
        return {"case": found.id} | {name: whole[name] for name in names.get(part, (part,))}

    def propose_plan(self, case_id: str, playbook: str, inputs: Mapping[str, str]) -> Plain:
        """A dry run: what would be done, with the exact requests. Nothing is kept or changed."""
        from perilune.cli import responding

        with self._office() as office:
            plan, used = self._planned(office, case_id, playbook, inputs)
            return {"dry_run": True, "connector": self.connector, "plan": responding.plan_object(plan, used)}

    # ── acting ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start_run(self, case_id: str, playbook: str, inputs: Mapping[str, str], plan_hash: str) -> Plain:
        """Begins the run whose plan was proposed. What needs an approval waits for another person's."""
        from perilune.response.plan import plan_hash as hash_of

        with self._office() as office:
            who = self._who(office, Act.RESPOND)
            plan, _ = self._planned(office, case_id, playbook, inputs)
            if hash_of(plan) != plan_hash.strip().lower():
                raise UsageError("the plan is another now than the one proposed", hint="propose it again, and look")
            runner = office.runner(self.connector)
            run = runner.start(plan, office.shelf().find(playbook).name, who=who)
            runner.advance(run.id)
            return _run(office, run.id)

    def decide_run(self, run_id: str, granted: bool, reason: str, plan_hash: str, actions: Sequence[int]) -> Plain:
        """Approves or denies exactly the plan with this hash, as the token's user, who did not begin the run."""
        with self._office() as office:
            who = self._who(office, Act.APPROVE)
            record = office.runs.load(run_id)
            if record.plan_hash != plan_hash.strip().lower():
                raise UsageError("the decision is about another plan", hint="look at this one with get_run")
            if record.who == who:
                raise UsageError("who began a run does not decide on it")
            if not reason.strip():
                raise UsageError("say why, for the record")
            runner = office.runner(record.connector)
            runner.decide(record.id, who=who, granted=granted, reason=reason, actions=actions, holds=timedelta(hours=8))
            runner.advance(record.id)
            return _run(office, record.id)

    def undo_run(self, run_id: str, reason: str) -> Plain:
        """Takes back what a run did, as a run of its own. Asking for it is approving it."""
        with self._office() as office:
            who = self._who(office, Act.RESPOND)
            if not reason.strip():
                raise UsageError("say why, for the record")
            record = office.runs.load(run_id)
            runner = office.runner(record.connector)
            undoing = runner.undo(record.id, who=who, reason=reason)
            runner.advance(undoing.id)
            return _run(office, undoing.id)

    def get_run(self, run_id: str) -> Plain:
        with self._office() as office:
            self._note(office, "run read", {"run": run_id[:40], "as": "mcp"})
            return _run(office, run_id)

    # ── who, and where ───────────────────────────────────────────────────────────────────────────────────────────

    def _office(self) -> AbstractContextManager[Office]:
        from perilune.service.office import opened

        return opened(self.settings)

    @property
    def _content(self) -> Path | None:
        return self.settings.content if self.settings.content.is_dir() else None

    def _planned(
        self, office: Office, case_id: str, playbook: str, inputs: Mapping[str, str]
    ) -> tuple[Plan, Connector]:
        from perilune.service.runs import plan_case

        case = office.cases.load(case_id)
        self._note(office, "case read", {"case": case.id, "as": "mcp plan"})
        used = office.connector(self.connector)
        plan = plan_case(
            case, office.shelf(), playbook, used, inputs=inputs, answers={}, content=office.content,
            related=office.related(case),
        )  # fmt: skip
        return plan, used

    def _who(self, office: Office, act: Act) -> str:
        """The token's user, if the token, the user and the role still allow the act."""
        if not self.token:
            raise UsageError("this server only reads", hint="start `perilune mcp` with --token-file to act")
        held = self._caller(office)
        if held is None:
            raise UsageError("the token is not valid any more")
        name, acts = held
        if act not in acts:
            raise UsageError(f"the token does not allow this ({act.value})")
        return name

    def _caller(self, office: Office) -> tuple[str, frozenset[Act]] | None:
        """Whose the token is and what it allows, looked up anew: it may have been revoked."""
        from perilune.store.sessions import SessionStore
        from perilune.store.users import UserStore

        token = SessionStore(office.database).find_token(self.token, at=office.now()) if self.token else None
        user = UserStore(office.database).find(token.user) if token else None
        if token is None or user is None or user.disabled or user.must_change:
            return None
        return user.name, ACTS[user.role] & token.scopes

    def _note(self, office: Office, kind: str, body: Mapping[str, object]) -> None:
        held = self._caller(office)
        office.runs.note("", kind, body, at=office.now(), who=held[0] if held else NOBODY)


def _level(name: str) -> Level:
    if name.upper() not in Level.__members__:
        raise UsageError(f"there is no level {name!r}", hint=f"levels are: {', '.join(one.word for one in Level)}")
    return Level[name.upper()]


def _findings(case: Case) -> list[Plain]:
    """A case's findings in short: which rule, where, on what."""
    from perilune.report.quote import tested

    return [
        {
            "rule": one.rule_title,
            "rule_id": one.rule_id,
            "severity": one.level.word,
            "score": one.score,
            "time": one.time,
            "event": {"table": one.event.table, "file": one.event.source, "record": one.event.record},
            "evidence": [
                {"field": it.field, "value": it.value, "tests": it.tests} for it in tested(one.evidence, one.row)
            ],
        }
        for one in case.findings[:10]
    ]


def _run(office: Office, run_id: str) -> Plain:
    from perilune.cli import responding

    record = office.runs.load(run_id)
    return {"run": responding.run_object(record, office.runs.results(record.id))}
