"""3. May they? Every kind has to allow; what one finds out, the next may read."""

from typing import Annotated

from pydantic import Field

from ztag_extauthz.authorization.profiles import ProfilesSettings
from ztag_extauthz.authorization.quota import QuotaSettings
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.authorization.risk import RiskSettings
from ztag_extauthz.authorization.step_up import StepUpSettings

AuthorizerSettings = Annotated[
    QuotaSettings | RiskSettings | StepUpSettings | RegoSettings | ProfilesSettings, Field(discriminator="kind")
]
