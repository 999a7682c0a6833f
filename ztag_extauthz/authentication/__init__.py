"""2. Who asks? The first kind whose credential is present answers."""

from typing import Annotated

from pydantic import Field

from ztag_extauthz.authentication.anonymous import AnonymousSettings
from ztag_extauthz.authentication.jwt import JwtSettings

AuthenticatorSettings = Annotated[JwtSettings | AnonymousSettings, Field(discriminator="kind")]
