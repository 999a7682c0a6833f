from typing import cast

from tests.authentication.parts import jwk, key_set
from ztag_extauthz.authentication.jose.key_set import KeySet
from ztag_extauthz.authentication.key_source import FileKeys
from ztag_extauthz.authentication.token_memory import Remembered, TokenMemory
from ztag_extauthz.model import Identity

KEYS = KeySet(key_set(jwk("ES256")), ("ES256",))
SOURCE = FileKeys("keys", KEYS, 0.0)


def entry(subject: str) -> Remembered:
    return Remembered(Identity(subject, "https://issuer.example", "jwt"), 1.0, KEYS, SOURCE)


def test_remembers() -> None:
    memory = TokenMemory(10)
    memory.put(memory.digest("a"), entry("alice"))
    assert cast("Remembered", memory.get(memory.digest("a"))).identity.subject == "alice"
    assert memory.get(memory.digest("b")) is None


def test_never_holds_more_than_it_may_and_keeps_what_is_used() -> None:
    memory = TokenMemory(100)
    for number in range(1_000):
        memory.put(memory.digest(str(number)), entry(str(number)))
        assert memory.get(memory.digest("0")) is not None
        assert len(memory) <= 100
    assert memory.get(memory.digest("999")) is not None
    assert memory.get(memory.digest("500")) is None


def test_the_digest_has_a_key_of_its_own() -> None:
    assert TokenMemory(2).digest("a") != TokenMemory(2).digest("a")


def test_never_6_the_memory_holds_no_token() -> None:
    memory = TokenMemory(2)
    memory.put(memory.digest("eyJ.secret.token"), entry("alice"))
    assert "secret" not in repr(vars(memory))
