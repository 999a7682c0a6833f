"""The configuration, version 1: a file and the environment → `Settings`, or every mistake at once.

file, environment ─document, environment─▶ document with origins ─models, rules─▶ Settings | every Mistake
"""

from ztag_extauthz.admission import AdmissionSettings
from ztag_extauthz.settings.addresses import endpoints
from ztag_extauthz.settings.loading import load
from ztag_extauthz.settings.models import (
    ListenSettings,
    ResponseSettings,
    ServerSettings,
    Settings,
    TlsSettings,
)
from ztag_extauthz.settings.rules import insecure

__all__ = [
    "AdmissionSettings",
    "ListenSettings",
    "ResponseSettings",
    "ServerSettings",
    "Settings",
    "TlsSettings",
    "endpoints",
    "insecure",
    "load",
]
