"""The settings of the engine `opa`."""

from typing import ClassVar, Final, Literal

from pydantic import Field, model_validator

from ztag_extauthz.fetch import why_not_url
from ztag_extauthz.section import Seconds, Section

UNIX: Final = "unix://"


class OpaSettings(Section):
    """The OPA that `engine: opa` asks."""

    file_fields: ClassVar[tuple[str, ...]] = ("ca", "token_file")

    url: str
    """`https://opa.example:8181`, `http://127.0.0.1:8181` or `unix:///run/opa/opa.sock`."""
    timeout: Seconds = Field(default=1.0, le=60)
    """Seconds that one question may take, and never longer than the request has."""
    token_file: str | None = None
    """A file with the bearer token that OPA wants."""
    ca: str | None = None
    """PEM file with the authorities that OPA's certificate is verified against; left out: the system's."""
    connections: int = Field(default=64, ge=1, le=1024)
    """Connections that one worker keeps at most; further questions wait for one."""
    when_unavailable: Literal["error", "embedded"] = "error"
    """What is said while OPA does not answer: an error, or what the embedded engine finds with the same `policies`."""
    prefix: str = Field(default="ztag", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    """What the policies that ztag puts on the OPA are named by; whoever shares it with other policies needs another."""
    insecure_http: bool = False
    """Ask by plain http beyond loopback: whoever sits on the way can answer."""

    @model_validator(mode="after")
    def _reachable(self) -> "OpaSettings":
        if self.url.startswith(UNIX):
            if not self.url.removeprefix(UNIX).startswith("/"):
                raise ValueError("url: the socket's path is not absolute\nwrite unix:///run/opa/opa.sock")
            return self
        why = why_not_url(self.url, insecure_http=self.insecure_http) or ("has a query" if "?" in self.url else "")
        if why:
            raise ValueError(
                f"url {why}\nwrite https://…, http://127.0.0.1:8181 or unix:///…, or set insecure_http: true"
            )
        return self
