"""`perilune mcp`: the tools for a model, over standard input and output."""

from __future__ import annotations

from pathlib import Path

import click

from perilune.errors import ReadError, UsageError


@click.command(short_help="Serve tools for a model (MCP).")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder that files may be read from (repeatable). Without it no file is read.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with an API token of the console. With it runs can be begun, decided or taken back, as far as its "
    "user may.",
)
@click.option("--connector", default="simulated", show_default=True, help="What plans and runs are made with.")
@click.option("--run-lua", is_flag=True, help="Also run analysed Lua, in the locked cage.")
def mcp(allowed: tuple[Path, ...], token_file: Path | None, connector: str, run_lua: bool) -> None:
    """Serve hunting, KQL, analysis, cases and plans as tools of the Model Context Protocol, until the input ends.

    Only reads, unless --token-file gives it somebody's rights; approvals are the same as in the console. Whatever is
    answered is marked as untrusted data, for a log may hold words that are meant for the model.
    """
    try:
        from perilune.web import mcp as server
        from perilune.web.mcp_desk import Desk
        from perilune.web.mcp_files import Folders
    except ModuleNotFoundError as error:
        raise UsageError(f"this needs the package {error.name!r}", hint="pip install 'perilune[mcp]'") from error
    from perilune import settings

    folders = Folders(tuple(folder.resolve() for folder in allowed))
    desk = Desk(settings.load(), folders, connector, _token(token_file), run_lua)
    server.make_server(desk).run("stdio")


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"cannot be read: {error}", where=str(path)) from None
    if not token:
        raise UsageError("holds no token", where=str(path))
    return token
