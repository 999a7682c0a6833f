"""The line of a decision that is made again is the line that its own record would have."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.requests import make_identity, make_request
from ztag_extauthz.model import Allow, Decision, Deny, Identity, Reason, Request, Stage, Timings
from ztag_extauthz.reporting.record import brief, to_json
from ztag_extauthz.reporting.template import Template

ID, OTHER = "0d9c7f3e-6f2b-4f5e-9a30-1f2f3f4f5f6f", "11111111-2222-4333-8444-555555555555"
TEXTS = st.one_of(
    st.text(st.characters()),
    st.sampled_from(
        ['"timings":{}', '{"id":"', "eyJhbGciOiJub25lIn0.e30.", "%65yJhbGciOiJub25lIn0", "a" * 3000, "\x7f", ID]
    ),
)
NAMES = st.integers(0, 2**64 - 1).map(str)
REQUESTS = st.builds(
    lambda path, host, extension, name: make_request(
        id=name, path=path, host=host, context_extensions={extension: path}, headers={"accept": host}
    ),
    TEXTS,
    TEXTS,
    TEXTS,
    NAMES | st.just(""),
)


def decided(identity: Identity, verdict: Allow | Deny, time: float) -> Decision:
    return Decision(ID, time, verdict, Stage.AUTHORIZATION, "rego", identity, {}, Timings())


@given(REQUESTS, TEXTS, NAMES, st.floats(0, 4e9), st.floats(0, 4e9))
def test_a_line_is_that_of_the_record(request_: Request, text: str, name: str, first: float, time: float) -> None:
    for verdict in (
        Allow(metadata={"rule": text}, policy_revision=text),
        Allow(shadowed=Deny(Reason.POLICY, text)),
        Deny(Reason.POLICY, text),
    ):
        one = decided(make_identity(text), verdict, first)
        template = Template(brief(request_, one, ("accept",)))
        again = replace(one, id=OTHER, time=time)
        like = replace(request_, id=name if request_.id else "")
        line = template.line(OTHER, time, like.id.encode())
        assert line == to_json(brief(like, again, ("accept",)))
        assert msgspec.json.decode(line)["id"] == OTHER
