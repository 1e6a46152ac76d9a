"""The one reader of the environment and of the settings file.

A setting comes from, in falling order: a command's option, the environment (`PERILUNE_STORE`), the file
`perilune.toml` in the working folder, the user's `config.toml`, the built-in default.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from perilune.errors import UsageError
from perilune.model.feeds import Feed
from perilune.model.feeds import parse as parse_feed


@dataclass(frozen=True, slots=True)
class Settings:
    """What an installation may choose.

    home   where Perilune keeps its own files; everything below is relative to it unless absolute
    store  the case store: a file, or an SQLAlchemy URL
    rules  folders of Sigma rules to load besides the pack
    feeds  TAXII collections that `perilune lists refresh` fetches; none by default
    baseline  the folder of the learned history
    webhooks  who is told of lines of the audit log, by name: `[webhooks.NAME]` with `url`, `secret_env`, `events`
    oidc   the identity provider that people may log in through: `[oidc]` with `issuer`, `client`, `secret_env`, `roles`
    logs   folders of logs that people may hunt in from the console, by the name that they see: `[logs]`
    connectors  of products that actions are done on, by name: `[connectors.defender]`; secrets by
                `…_env`, `…_file` or `…_keyring`
    """

    home: Path
    store: str = "cases.db"
    rules: tuple[str, ...] = ()
    feeds: tuple[Feed, ...] = ()
    baseline: str = "baseline"
    connectors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    webhooks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    oidc: Mapping[str, str] = field(default_factory=dict)

    @property
    def baseline_folder(self) -> Path:
        """Where the learned history is, or would be."""
        return self.home / Path(self.baseline).expanduser()

    @property
    def store_url(self) -> str:
        if "://" in self.store:
            return self.store
        return f"sqlite:///{self.home / self.store}"

    @property
    def cache(self) -> Path:
        """What can be made again: compiled rules."""
        return self.home / "cache"

    @property
    def content(self) -> Path:
        """The user's own rules, known hosts and suppressions, laid out as the packaged `content/` is."""
        return self.home / "content"


def load() -> Settings:
    """The settings of this run."""
    home = _home()
    found: dict[str, object] = {}
    for path in (home / "config.toml", Path("perilune.toml")):
        found |= _from_file(path)
    found |= _from_environment()
    return _checked(Settings(home=home), found)


def _home() -> Path:
    if given := os.environ.get("PERILUNE_HOME"):
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_path  # imported late: most commands are given their files

    return user_data_path("perilune", appauthor=False)


def _from_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"cannot be read as settings: {error}", where=str(path)) from error


def _from_environment() -> dict[str, object]:
    found: dict[str, object] = {}
    if store := os.environ.get("PERILUNE_STORE"):
        found["store"] = store
    if rules := os.environ.get("PERILUNE_RULES"):
        found["rules"] = rules.split(os.pathsep)
    if baseline := os.environ.get("PERILUNE_BASELINE"):
        found["baseline"] = baseline
    return found


def _checked(settings: Settings, found: dict[str, object]) -> Settings:
    known = {f.name for f in fields(Settings)} - {"home"}
    if unknown := sorted(set(found) - known):
        raise UsageError(f"unknown setting {unknown[0]!r}", hint=f"known are: {', '.join(sorted(known))}")
    store = found.get("store", settings.store)
    rules = found.get("rules", settings.rules)
    baseline = found.get("baseline", settings.baseline)
    if not isinstance(store, str):
        raise UsageError(f"setting 'store' must be text, not {store!r}")
    if not isinstance(rules, list | tuple) or not all(isinstance(r, str) for r in rules):
        raise UsageError(f"setting 'rules' must be a list of folders, not {rules!r}")
    if not isinstance(baseline, str):
        raise UsageError(f"setting 'baseline' must be a folder, not {baseline!r}")
    feeds = found.get("feeds", {})
    if not isinstance(feeds, dict):
        raise UsageError("setting 'feeds' must be tables, [feeds.NAME]")
    settings = replace(settings, feeds=tuple(parse_feed(str(name), one) for name, one in feeds.items()))
    connectors = _connectors(found.get("connectors", {}))
    logs = found.get("logs", {})
    if not isinstance(logs, dict) or not all(isinstance(one, str) for one in logs.values()):
        raise UsageError("setting 'logs' must be folders by name, [logs]")
    oidc = found.get("oidc", {})
    if not isinstance(oidc, dict) or not all(isinstance(one, str) for one in oidc.values()):
        raise UsageError("setting 'oidc' must be texts by name, [oidc]")
    settings = replace(settings, logs=logs, oidc=oidc, webhooks=_connectors(found.get("webhooks", {}), "webhooks"))
    return replace(settings, store=store, rules=tuple(rules), baseline=baseline, connectors=connectors)


def _connectors(given: object, what: str = "connectors") -> dict[str, dict[str, str]]:
    wrong = f"setting {what!r} must be tables of texts, [{what}.NAME]"
    if not isinstance(given, dict):
        raise UsageError(wrong)
    for one in given.values():
        if not isinstance(one, dict) or not all(isinstance(value, str) for value in one.values()):
            raise UsageError(wrong)
    return given


def connector_value(settings: Settings, name: str, key: str) -> str:
    """What the settings say of a connector; a secret from the variable or file that they name, never from them."""
    given = settings.connectors.get(name, {})
    where = f"connectors.{name}"
    found = given.get(key) or _kept(given.get(f"{key}_keyring", ""), where)
    found = found or _secret(given.get(f"{key}_env", ""), given.get(f"{key}_file", ""), where)
    if not found:
        raise UsageError(f"the setting {key} is missing", where=where, hint=f"[{where}] in config.toml")
    return found


def secret_value(given: Mapping[str, str], key: str, where: str) -> str:
    """A secret of a table of settings, from the variable or file that it names; never from the table itself."""
    if key in given:
        raise UsageError("a secret does not stand in the settings", where=where, hint=f"give {key}_env or {key}_file")
    found = _secret(given.get(f"{key}_env", ""), given.get(f"{key}_file", ""), where)
    if not found:
        raise UsageError(f"{key}_env or {key}_file is missing", where=where, hint=f"[{where}] in config.toml")
    return found


def secret_of(feed: Feed) -> tuple[str, str]:
    """A feed's password and token, from where its settings say."""
    password = _secret(feed.password_env, feed.password_file, f"feeds.{feed.name}")
    return password, _secret(feed.token_env, feed.token_file, f"feeds.{feed.name}")


def _secret(variable: str, path: str, where: str) -> str:
    if variable:
        value = os.environ.get(variable)
        if value is None:
            raise UsageError(f"the environment has no {variable}", where=where)
        return value
    if not path:
        return ""
    _refuse_open(Path(path).expanduser(), where)
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the secret cannot be read: {error}", where=where) from None


def _refuse_open(path: Path, where: str) -> None:
    """A file that others may read holds no secret; that it is not there is said where it is read."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & 0o077:
        raise UsageError(f"the secret in {path} may be read by others", where=where, hint=f"chmod 600 {path}")


def _kept(entry: str, where: str) -> str:
    """A secret in the system's keyring, `SERVICE/NAME`; empty where the setting names none."""
    if not entry:
        return ""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise UsageError("the keyring is not installed", where=where, hint="pip install 'perilune[keyring]'") from error
    service, _, name = entry.partition("/")
    try:
        found = keyring.get_password(service, name)
    except KeyringError as error:
        raise UsageError(f"the keyring does not answer: {type(error).__name__}", where=where) from error
    if found is None:
        hint = f"keyring set {service} {name or 'NAME'}"
        raise UsageError(f"the keyring has no {entry}", where=where, hint=hint)
    return found
