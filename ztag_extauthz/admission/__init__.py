"""1. May they ask at all?"""

from ztag_extauthz.admission.address_rules import AddressRulesSettings
from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.admission.rate_limit import RateLimitSettings
from ztag_extauthz.admission.well_formed import WellFormed, WellFormedSettings
from ztag_extauthz.component import Resources


class AdmissionSettings(WellFormedSettings):
    """What is refused before anybody is asked for a credential."""

    address_rules: AddressRulesSettings | None = None
    """From where requests are accepted."""
    rate_limit: RateLimitSettings | None = None
    """How often may be asked, by address, route or header."""

    def build(self, resources: Resources) -> list[Gate]:
        """Return the gates, the cheapest first."""
        gates: list[Gate] = [WellFormed(self)]
        gates += [section.build(resources) for section in (self.address_rules, self.rate_limit) if section is not None]
        return gates
