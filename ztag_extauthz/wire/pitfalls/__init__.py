"""What goes wrong where Envoys are made to ask ztag, one file for each who is configured.

What schemas see is left to them: here stands what is valid and still does not do what was meant.
"""

from ztag_extauthz.wire.pitfalls.finding import Finding, Level
from ztag_extauthz.wire.pitfalls.mesh import Mesh

__all__ = ["Finding", "Level", "Mesh"]
