"""Envoy's words and ours: CheckRequest → `Request`, `Decision` → CheckResponse. Nothing else imports their protos."""

from ztag_extauthz.envoy.access_log import endings
from ztag_extauthz.envoy.request import decode
from ztag_extauthz.envoy.response import Encoder

__all__ = ["Encoder", "decode", "endings"]
