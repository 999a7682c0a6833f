"""3. May they? Every kind has to allow; what one finds out, the next may read."""

from ztag_extauthz.authorization.rego import RegoSettings

AuthorizerSettings = RegoSettings
