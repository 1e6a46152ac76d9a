"""`perilune serve`: the web console and the REST API."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from perilune.errors import UsageError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Serve the web console and the REST API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8059, show_default=True)
@click.option("--tls-certificate", type=_FILE, help="A certificate chain (PEM), to serve TLS.")
@click.option("--tls-key", type=_FILE, help="Its private key (PEM).")
@click.option("--public-url", default="", help="The https address at which a reverse proxy shows the console.")
@click.option(
    "--proxy-address",
    default="127.0.0.1",
    show_default=True,
    help="Where that proxy connects from.",
)
@click.option(
    "--upload-limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Megabytes at once."
)
@click.option(
    "--workers", type=click.IntRange(1, 32), default=1, show_default=True, help="Processes, for many people at once."
)
def serve(
    host: str,
    port: int,
    tls_certificate: Path | None,
    tls_key: Path | None,
    public_url: str,
    proxy_address: str,
    upload_limit: int,
    workers: int,
) -> None:
    """Serve the web console and the REST API until stopped.

    The first start makes the user `admin` and prints a one-time password. Only this machine can connect
    unless TLS files are given, or --public-url names the address of a reverse proxy that adds TLS.
    """
    try:
        from perilune.web import app, serving
    except ModuleNotFoundError as error:
        raise UsageError(f"the console needs the package {error.name!r}", hint="pip install 'perilune[web]'") from error
    from perilune import settings
    from perilune.web.options import Options, check
    from perilune.web.rooms import open_rooms

    given = Options(
        host, port, tls_certificate, tls_key, public_url.rstrip("/"), proxy_address, upload_limit * 1_000_000
    )
    options, configured = check(given), settings.load()
    _say_password(app.make_first_admin(open_rooms(configured, options)))
    click.echo(f"Perilune listens at {options.address} (Ctrl-C stops it)", err=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serving.serve(configured, options, workers)


def _say_password(password: str | None) -> None:
    if password is not None:
        click.echo("This is the first start. Log in once with", err=True)
        click.echo(f"  name      admin\n  password  {password}", err=True)
        click.echo("and choose a password of your own. It is not shown again.", err=True)
