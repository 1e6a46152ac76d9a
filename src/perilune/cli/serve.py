"""`perilune serve`: the web console and the REST API."""

from __future__ import annotations

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
def serve(
    host: str, port: int, tls_certificate: Path | None, tls_key: Path | None, public_url: str, proxy_address: str
) -> None:
    """Serve the web console and the REST API until stopped.

    The first start makes the user `admin` and prints a one-time password. Only this machine can connect
    unless TLS files are given, or --public-url names the address of a reverse proxy that adds TLS.
    """
    try:
        import uvicorn

        from perilune.web import app
    except ModuleNotFoundError as error:
        raise UsageError(f"the console needs the package {error.name!r}", hint="pip install 'perilune[web]'") from error
    from perilune import settings
    from perilune.web.options import Options, check
    from perilune.web.rooms import open_rooms

    options = check(Options(host, port, tls_certificate, tls_key, public_url.rstrip("/"), proxy_address))
    rooms = open_rooms(settings.load(), options)
    _say_password(app.make_first_admin(rooms))
    click.echo(f"Perilune listens at {options.address} (Ctrl-C stops it)", err=True)
    config = uvicorn.Config(
        app.make_app(rooms),
        host=host,
        port=port,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        proxy_headers=bool(public_url),
        forwarded_allow_ips=proxy_address,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=15,
        limit_concurrency=200,
        timeout_graceful_shutdown=3,  # streams of events would hold it for ever
    )
    uvicorn.Server(config).run()


def _say_password(password: str | None) -> None:
    if password is not None:
        click.echo("This is the first start. Log in once with", err=True)
        click.echo(f"  name      admin\n  password  {password}", err=True)
        click.echo("and choose a password of your own. It is not shown again.", err=True)
