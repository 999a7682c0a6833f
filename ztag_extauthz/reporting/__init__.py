"""4. What was decided? Every kind is told of every decision."""

from ztag_extauthz.reporting.audit import AuditSettings

ReporterSettings = AuditSettings
