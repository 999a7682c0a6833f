import asyncio
import json

from tests.requests import make_request
from ztag_extauthz.admission.resource_metadata import ResourceMetadata
from ztag_extauthz.model import Deny, Reason
from ztag_extauthz.protected_resource import WELL_KNOWN, ProtectedResources, ProtectedResourceSettings

GATE = ResourceMetadata(ProtectedResources([ProtectedResourceSettings(resource="https://api.example")], {}))


def test_the_document_is_the_answer() -> None:
    answer = asyncio.run(GATE.admit(make_request(host="api.example", path=WELL_KNOWN), 0.0))
    assert isinstance(answer, Deny)
    assert (answer.reason, answer.status) == (Reason.ANSWERED, 200)
    assert dict(answer.headers)["content-type"] == "application/json"
    assert json.loads(answer.body or "") == {"resource": "https://api.example"}


def test_everything_else_goes_on() -> None:
    assert asyncio.run(GATE.admit(make_request(host="api.example", path="/"), 0.0)) is None
