import stat
from pathlib import Path

import pytest

from ztag_extauthz.authorization.bundle.persisted import Keeper, Kept

URL = "https://bundles.example/authz.tar.gz"


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "kept", URL, 100)


def test_a_bundle_comes_back(keeper: Keeper) -> None:
    assert keeper.get() is None
    before = keeper.stamp()
    keeper.put(Kept(b"one", '"1"'))
    assert keeper.get() == Kept(b"one", '"1"')
    assert keeper.stamp() != before
    keeper.put(Kept(b"two"))
    assert keeper.get() == Kept(b"two")
    assert len(list(keeper.bundle.parent.iterdir())) == 2


def test_nobody_else_may_read_it(keeper: Keeper) -> None:
    keeper.put(Kept(b"one", '"1"'))
    folder = keeper.bundle.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("note", ["", "{", "[]", '{"etag": 1}', "x" * 10_000, '{"etag": "\\"2\\"", "digest": "0"}'])
def test_an_etag_counts_for_its_own_bundle_only(keeper: Keeper, note: str) -> None:
    """A crash between the two writes leaves a new bundle with the old note."""
    keeper.put(Kept(b"one", '"1"'))
    keeper._note.write_text(note)
    assert keeper.get() == Kept(b"one")


def test_what_is_too_large_is_none(keeper: Keeper) -> None:
    keeper.put(Kept(b"x" * 101))
    assert keeper.get() is None


def test_bundles_of_other_addresses_are_others(tmp_path: Path, keeper: Keeper) -> None:
    keeper.put(Kept(b"one"))
    assert Keeper(tmp_path / "kept", URL + "?x", 100).get() is None


def test_a_write_that_fails_leaves_what_was(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper.put(Kept(b"one", '"1"'))

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        keeper.put(Kept(b"two"))
    assert keeper.get() == Kept(b"one", '"1"')
    assert len(list(keeper.bundle.parent.iterdir())) == 2
