import pytest

from ztag_extauthz.authorization.engines.interface import decision_path


@pytest.mark.parametrize(
    "decision",
    ["envoy/authz/result", "/envoy/authz/result/", "envoy.authz.result", "data.envoy.authz.result"],
)
def test_a_decision_is_written_in_several_ways(decision: str) -> None:
    assert decision_path(decision) == ("envoy", "authz", "result")


def test_data_is_a_package_of_its_own_where_slashes_say_so() -> None:
    assert decision_path("data/envoy") == ("data", "envoy")
