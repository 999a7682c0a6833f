"""`ztag config`: what is configured, and is it right."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    FileArgument,
    chosen,
    load_settings,
    resources_for,
    sections_of,
    telling_mistakes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ztag_extauthz.settings import Settings

app = typer.Typer(help="Validate, show and describe the configuration.", no_args_is_help=True)


@app.command()
def validate(context: typer.Context, file: FileArgument = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check the configuration and its environment, then the files that it names. Exit code 2 with the mistakes."""
    config = chosen(context, file, config)
    with telling_mistakes():
        settings = load_settings(config)
        from ztag_extauthz.server.preflight import build_to_serve  # heavy
        from ztag_extauthz.settings import insecure

        build_to_serve(settings, resources_for(config.parent))
        for warning in _of_policies(settings, config.parent):
            print(f"warning: {warning}", file=sys.stderr)
    for choice in insecure(settings):
        print(f"insecure choice: {choice}", file=sys.stderr)
    print(f"{config}: valid")


def _of_policies(settings: "Settings", folder: "Path") -> "Iterator[str]":
    """Yield what is likely a mistake in policies that load."""
    from ztag_extauthz.authorization.bundle import files
    from ztag_extauthz.authorization.rego import RegoSettings
    from ztag_extauthz.cli.policy.shape import misshapen, misspelt_headers
    from ztag_extauthz.cli.policy.unread import unread

    for section in sections_of(settings, RegoSettings):
        if section.policies:
            bundle = files.read(section.policies, folder).bundle
            for mistake in misshapen(bundle.modules, bundle.data, section.decision):
                yield f"{mistake.file}:{mistake.line}: {mistake.message}" + f" ({mistake.remedy})" * bool(
                    mistake.remedy
                )
            yield from misspelt_headers(bundle.modules, section.decision, settings.response.all_owned_headers)
            yield from unread(section.policies, folder, bundle.modules)


@app.command()
def show(
    context: typer.Context,
    file: FileArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    origins: Annotated[
        bool, typer.Option("--origins", help="A line for each setting, with where it came from.")
    ] = False,
) -> None:
    """Print the settings in force, defaults included, secrets hidden."""
    config = chosen(context, file, config)
    with telling_mistakes():
        settings = load_settings(config)
        from ztag_extauthz.settings.show import as_lines, as_yaml

        if origins:
            from os import environ

            from ztag_extauthz.settings.loading import read

            print("\n".join(as_lines(settings, read(config, environ))))
        else:
            print(as_yaml(settings), end="")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from ztag_extauthz.settings import Settings  # brings pydantic

    print(json.dumps(Settings.model_json_schema(), indent=2))


@app.command(hidden=True)
def reference() -> None:
    """Print `docs/configuration.md`."""
    from ztag_extauthz.settings.reference import reference as text

    print(text(), end="")
