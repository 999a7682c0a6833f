"""4. What was decided? Every kind is told of every decision."""

from typing import Annotated

from pydantic import Field

from ztag_extauthz.reporting.audit import AuditSettings
from ztag_extauthz.reporting.decision_log import DecisionLogSettings
from ztag_extauthz.reporting.recording import RecordingSettings

ReporterSettings = Annotated[AuditSettings | DecisionLogSettings | RecordingSettings, Field(discriminator="kind")]
