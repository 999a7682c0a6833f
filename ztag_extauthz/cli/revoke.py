"""`ztag revoke`: refuse from now on what is still valid."""

import asyncio
import sys
from typing import Annotated

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, load_settings, tell, telling_mistakes


def revoke(
    issuer: Annotated[str, typer.Option(help="Whose credentials: iss of the tokens, spiffe://<trust domain>.")],
    config: ConfigOption = DEFAULT_CONFIG,
    token: Annotated[str, typer.Option(help="One token: its jti.")] = "",
    session: Annotated[str, typer.Option(help="All tokens of a session: their sid.")] = "",
    subject: Annotated[str, typer.Option(help="All that a subject has until now.")] = "",
    everything: Annotated[bool, typer.Option("--everything", help="All that the issuer issued until now.")] = False,
    before: Annotated[float | None, typer.Option(help="Unix seconds instead of now.")] = None,
) -> None:
    """Refuse a token, a session, a subject or everything of an issuer, in all workers of all replicas."""
    from ztag_extauthz.revocation.entries import Order

    order = Order(issuer, token, session, subject, everything, before)
    try:
        meant = order.entry(0.0, 0.0)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with telling_mistakes():
        settings = load_settings(config).revocation
        if settings is None:
            from ztag_extauthz.errors import Mistake, SettingsError

            raise SettingsError((Mistake(str(config), "has no revocation", "add revocation: {redis: …, secret: …}"),))
        from ztag_extauthz.revocation.journal import journal

        remember = settings.remember
        asyncio.run(tell(journal(settings, config.parent), lambda now: order.entry(now, remember)))
    print(f"revoked: {meant.kind} {meant.value or meant.issuer}", file=sys.stderr)
