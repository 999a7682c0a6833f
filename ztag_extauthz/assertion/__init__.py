"""What the upstream learns of who asked, signed: `x-ztag-assertion`, a JWT for it alone."""

HEADER = "x-ztag-assertion"
TYPE = "ztag+jwt"
