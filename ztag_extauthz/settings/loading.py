"""The way of one configuration: read, override, check, resolve."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.settings.document import MAX_BYTES, Document, parse, spell
from ztag_extauthz.settings.environment import override
from ztag_extauthz.settings.mistakes import Finding, findings_of, mistakes_of
from ztag_extauthz.settings.models import ListenSettings, Settings
from ztag_extauthz.settings.rules import check, sound


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a file, overridden by the environment's `ZTAG_…`.

    Raises `SettingsError` with every mistake. The files of `listen.tls` become absolute; all other relative paths are
    for `Resources.folder` to resolve.
    """
    settings = settings_of(read(path, environment))
    return settings.model_copy(update={"listen": _resolved(settings.listen, path.resolve().parent)})


def read(path: Path, environment: Mapping[str, str]) -> Document:
    """Return what file and environment say, unchecked. Raises `SettingsError`."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError((Mistake(str(path), f"cannot be read: {error.strerror}"),)) from error
    except UnicodeDecodeError as error:
        raise SettingsError((Mistake(str(path), "is not UTF-8", "is this the right file?"),)) from error
    return override(parse(text, str(path)), environment)


def settings_of(document: Document) -> Settings:
    """Return the settings that a document says. Raises `SettingsError` with every mistake."""
    findings: list[Finding] = []
    try:
        settings = Settings.model_validate(document.value)
    except ValidationError as error:
        findings += findings_of(error, document)
    findings += check(sound(document.value))
    if findings:
        raise SettingsError(mistakes_of(findings, document))
    settings.read_from({spell(path): origin for path, origin in document.origins.items()})
    return settings


def _resolved(listen: ListenSettings, folder: Path) -> ListenSettings:
    if listen.tls is None:
        return listen
    names = ("certificate", "key", "client_ca")
    files = {name: str(folder / value) for name in names if (value := getattr(listen.tls, name)) is not None}
    return listen.model_copy(update={"tls": listen.tls.model_copy(update=files)})
