"""Opens what a command about runs needs: the store, the playbooks, a connector, a runner; and closes it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perilune import plugins
from perilune.connectors.cortex_xdr import CortexXdr, Key, tenant_base
from perilune.connectors.defender import API, Defender, Secrets, region_base
from perilune.connectors.linux import Linux
from perilune.connectors.linux.ssh import Ssh, Way
from perilune.connectors.simulated import Simulated
from perilune.errors import UsageError
from perilune.model.case import Case
from perilune.ports import Connector
from perilune.response.false_positive import propose
from perilune.service.desk import Desk
from perilune.service.playbooks import Shelf, load_safe_list, load_shelf
from perilune.service.runs import Runner
from perilune.service.subject import is_interpreter
from perilune.settings import Settings, connector_value
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from perilune.store.runs import RunStore

BUILT_IN = ("simulated", "linux", "ssh", "defender", "cortex_xdr")


@dataclass(frozen=True, slots=True)
class Office:
    """An installation, opened."""

    settings: Settings
    database: Database
    cases: CaseStore
    runs: RunStore

    @property
    def content(self) -> Path | None:
        return self.settings.content if self.settings.content.is_dir() else None

    def shelf(self) -> Shelf:
        return load_shelf(self.content)

    def connector(self, name: str) -> Connector:
        """A connector by its name; what is done to cases is done at the desk, but for the simulated fleet."""
        if name == "simulated":
            return Simulated(self.settings.home / "simulated.json")
        if name == "linux":
            management = load_safe_list(self.content).management
            return Desk(Linux(self.settings.home / "linux", management), self.cases)
        if name == "ssh":
            return Desk(_ssh(self.settings, load_safe_list(self.content).management), self.cases)
        if name == "defender":
            return Desk(_defender(self.settings), self.cases)
        if name == "cortex_xdr":
            return Desk(_cortex(self.settings), self.cases)
        return Desk(_plugged(name), self.cases)

    def runner(self, connector: str) -> Runner:
        return Runner(self.runs, self.connector(connector))

    def now(self) -> datetime:
        return datetime.now(UTC)

    def propose(self, case: Case, *, author: str) -> tuple[list[Path], list[str]]:
        """Writes what explains a false positive, for review: the rules' files, and why some were not written."""
        folder = self.settings.content / "proposed"
        proposals = propose(case, author=author, today=self.now().date(), is_interpreter=is_interpreter)
        written: list[Path] = []
        for one in proposals:
            if one.refused:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / f"{one.name}.yml")
            written[-1].write_text(one.rule, encoding="utf-8")
            (folder / f"{one.name}.events.yml").write_text(one.events, encoding="utf-8")
        return written, [one.refused for one in proposals if one.refused]

    def related(self, case: Case) -> list[str]:
        """Other cases of the same host or account."""
        users = set(case.users)
        queue = self.cases.queue(limit=1000)
        return [one.id for one in queue if one.id != case.id and (one.host == case.host or users & set(one.users))]


def _ssh(settings: Settings, management: tuple[str, ...]) -> Connector:
    given = settings.connectors.get("ssh", {})
    pairs = [one.partition("=") for one in given.get("addresses", "").split(",") if one.strip()]
    if wrong := [name for name, sign, address in pairs if not (sign and address.strip())]:
        hint = "name=address[:port], with commas between them"
        raise UsageError(f"{wrong[0]!r} has no address", where="connectors.ssh.addresses", hint=hint)
    way = Way(
        user=given.get("user", "root"),
        pinned=Path(given.get("pinned", str(settings.home / "known_hosts"))),
        key=Path(given["key"]) if "key" in given else None,
        addresses={name.strip().lower(): address.strip() for name, _, address in pairs},
        sudo=given.get("sudo", "no").lower() in ("yes", "true"),
        python=given.get("python", "python3"),
    )
    return Ssh(way, management)


def _defender(settings: Settings) -> Connector:
    tenant, client = (connector_value(settings, "defender", key) for key in ("tenant", "client"))
    secrets = Secrets(tenant, client, _secret(settings, "defender", "secret"))
    given = settings.connectors["defender"]
    base = given.get("base", "") or (region_base(given["region"]) if "region" in given else API)
    return Defender(secrets, base=base, terminate_script=given.get("terminate_script", ""))


def _cortex(settings: Settings) -> Connector:
    identifier = connector_value(settings, "cortex_xdr", "key_id")
    given = settings.connectors["cortex_xdr"]
    base = tenant_base(given["tenant"]) if "tenant" in given else connector_value(settings, "cortex_xdr", "base")
    standard = given.get("security_level", "advanced").lower() == "standard"
    key = Key(identifier, _secret(settings, "cortex_xdr", "key"), advanced=not standard)
    generation = given.get("generation", "3")
    return CortexXdr(base, key, generation=int(generation) if generation.isdecimal() else 0)


def _secret(settings: Settings, name: str, key: str) -> str:
    if key in settings.connectors.get(name, {}):
        raise UsageError("a secret does not stand in the settings", hint=f"give {key}_env or {key}_file")
    return connector_value(settings, name, key)


def _plugged(name: str) -> Connector:
    found = plugins.find_connectors()
    for connector in found.connectors:
        if connector.name == name:
            return connector
    known = ", ".join([*BUILT_IN, *(one.name for one in found.connectors)])
    broken = f"; left out: {'; '.join(found.broken)}" if found.broken else ""
    raise UsageError(f"there is no connector {name!r}", hint=f"there are: {known}{broken}")


@contextmanager
def opened(settings: Settings) -> Iterator[Office]:
    cases = CaseStore(settings.store_url)
    database = Database(settings.store_url)
    try:
        yield Office(settings, database, cases, RunStore(database))
    finally:
        database.close()
        cases.close()
