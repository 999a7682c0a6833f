"""2. Who asks? The first kind whose credential is present answers."""

from typing import Annotated

from pydantic import Field

from ztag_extauthz.authentication.anonymous import AnonymousSettings
from ztag_extauthz.authentication.api_key import ApiKeySettings
from ztag_extauthz.authentication.assertion import AssertionSettings
from ztag_extauthz.authentication.introspection import IntrospectionSettings
from ztag_extauthz.authentication.jwt import JwtSettings
from ztag_extauthz.authentication.jwt_svid import JwtSvidSettings
from ztag_extauthz.authentication.kubernetes import KubernetesSettings
from ztag_extauthz.authentication.mesh import MeshSettings

AuthenticatorSettings = Annotated[
    JwtSettings
    | JwtSvidSettings
    | KubernetesSettings
    | IntrospectionSettings
    | ApiKeySettings
    | AssertionSettings
    | MeshSettings
    | AnonymousSettings,
    Field(discriminator="kind"),
]
