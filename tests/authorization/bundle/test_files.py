import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authorization.bundle.parts import packed
from ztag_extauthz.authorization.bundle import archive
from ztag_extauthz.authorization.bundle.files import Bundle, load
from ztag_extauthz.errors import PolicyError

ALLOW = "package envoy.authz\nresult := true"


def files(folder: Path, contents: Mapping[str, str]) -> Path:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def tar(path: Path, contents: Mapping[str, str | bytes], *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        for name, content in contents.items():
            octets = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(octets)
            bundle.addfile(member, io.BytesIO(octets))
        for member in others:
            bundle.addfile(member)
    return path


def mistakes(folder: Path, *paths: str) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        load(paths, folder)
    return [str(mistake) for mistake in raised.value.mistakes]


def test_files_are_read(tmp_path: Path) -> None:
    files(tmp_path, {"a.rego": ALLOW, "roles.yaml": "roles: {alice: [admin]}"})
    found = load(("a.rego", "roles.yaml"), tmp_path)
    assert found == Bundle({"a.rego": ALLOW}, {"roles": {"alice": ["admin"]}}, found.version)


def test_a_folder_is_read_as_a_bundle_is(tmp_path: Path) -> None:
    contents = {
        "policy/a.rego": ALLOW,
        "policy/sub/b.rego": "package b",
        "policy/sub/b_test.rego": "not rego at all",
        "policy/data.json": '{"root": 1}',
        "policy/sub/deep/data.yaml": "x: 1",
        "policy/input.json": "not read",
        "policy/.git/c.rego": "not rego either",
        "policy/README.md": "hello",
    }
    found = load(("policy/",), files(tmp_path, contents))
    assert list(found.modules) == ["policy/a.rego", "policy/sub/b.rego"]
    assert found.data == {"root": 1, "sub": {"deep": {"x": 1}}}


def test_another_content_is_another_version(tmp_path: Path) -> None:
    files(tmp_path, {"a.rego": ALLOW, "b.json": '{"x": 1}', "c.json": '{"x": 2}'})
    first, again, other = (load(names, tmp_path).version for names in (("a.rego",), ("a.rego",), ("a.rego", "b.json")))
    assert first == again != other
    assert first.revision == first.digest.hex()[:12]
    tar(tmp_path / "1.tar.gz", {".manifest": '{"revision": "7"}', "a.rego": ALLOW})
    tar(tmp_path / "2.tar.gz", {".manifest": '{"revision": "7"}', "a.rego": f"{ALLOW}\n"})
    one, two = (load((name,), tmp_path).version for name in ("1.tar.gz", "2.tar.gz"))
    assert (one.revision, two.revision) == ("7", "7")
    assert one.digest != two.digest


@pytest.mark.parametrize("revision", ["7", '"' + "x" * 257 + '"', '"a\\nb"', "null"])
def test_a_revision_is_a_short_line(tmp_path: Path, revision: str) -> None:
    tar(tmp_path / "b.tar.gz", {".manifest": f'{{"revision": {revision}}}', "a.rego": ALLOW})
    assert mistakes(tmp_path, "b.tar.gz") == ["b.tar.gz: has a .manifest whose revision is no short line of text"]


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    files(tmp_path, {"policy/..2026/a.rego": ALLOW})
    (tmp_path / "policy/..data").symlink_to("..2026")
    (tmp_path / "policy/a.rego").symlink_to("..data/a.rego")
    assert load(("policy",), tmp_path).modules == {"policy/a.rego": ALLOW}


def test_a_bundle_is_read(tmp_path: Path) -> None:
    contents = {
        "/.manifest": '{"revision": "1", "roots": ["envoy", "roles"]}',
        "/envoy/a.rego": ALLOW,
        "./envoy/a_test.rego": "no",
        "roles/data.json": '{"alice": 1}',
    }
    tar(tmp_path / "b.tar.gz", contents)
    found = load(("b.tar.gz",), tmp_path)
    assert found == Bundle({"b.tar.gz:envoy/a.rego": ALLOW}, {"roles": {"alice": 1}}, found.version)
    assert found.version.revision == "1"


def test_every_mistake_is_told(tmp_path: Path) -> None:
    files(
        tmp_path,
        {"a.rego": "x", "bad.json": "{", "b.yaml": "- 1", "notes.txt": "", "c.json": '{"a": 1}', "d.json": '{"a": 2}'},
    )
    tar(tmp_path / "e.tar.gz", {"patch.json": "{}"})
    (tmp_path / "f.tar.gz").write_bytes(b"no gzip")
    paths = ("missing.rego", "bad.json", "b.yaml", "notes.txt", "c.json", "d.json", "e.tar.gz", "f.tar.gz")
    found = mistakes(tmp_path, *paths)
    assert [text.partition(":")[0] for text in found] == [
        "missing.rego", "bad.json", "b.yaml", "notes.txt", "d.json", "e.tar.gz", "f.tar.gz",
    ]  # fmt: skip
    assert found[1].startswith("bad.json:1:2: ")


def test_no_policy_at_all_is_a_mistake(tmp_path: Path) -> None:
    files(tmp_path, {"policy/data.json": "{}"})
    assert mistakes(tmp_path, "policy") == [
        "policy: no .rego file (give .rego files, data.json or data.yaml, folders, or .tar.gz bundles)"
    ]


@pytest.mark.parametrize("name", ["../a.rego", "a/../../b.rego", "/../a.rego", "a\\..\\b.rego"])
def test_a_name_that_leads_out_of_the_bundle_is_refused(tmp_path: Path, name: str) -> None:
    tar(tmp_path / "b.tar.gz", {name: ALLOW})
    assert "leads out" in mistakes(tmp_path, "b.tar.gz")[0]
    assert sorted(path.name for path in tmp_path.parent.glob("*.rego")) == []


@pytest.mark.parametrize("place", [0, 9])
@pytest.mark.parametrize("name", ["data.json", "./data.json", "/data.json", ".//data.json", "/./data.json"])
def test_a_name_that_occurs_twice_is_refused(tmp_path: Path, name: str, place: int) -> None:
    entries: list[tuple[str, str | bytes]] = [("a.rego", ALLOW), ("data.json", '{"admins": {"alice": true}}')]
    entries.insert(place, (name, '{"admins": {"eve": true}}'))
    (tmp_path / "b.tar.gz").write_bytes(packed(entries))
    assert "holds 'data.json' twice" in mistakes(tmp_path, "b.tar.gz")[0]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("a.rego")
    member.type, member.linkname = kind, "/etc/passwd"
    tar(tmp_path / "b.tar.gz", {"b.rego": ALLOW}, member)
    assert "no regular file" in mistakes(tmp_path, "b.tar.gz")[0]


def test_folders_in_a_bundle_are_passed_over(tmp_path: Path) -> None:
    member = tarfile.TarInfo("envoy")
    member.type = tarfile.DIRTYPE
    tar(tmp_path / "b.tar.gz", {"envoy/a.rego": ALLOW}, member)
    assert load(("b.tar.gz",), tmp_path).modules


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        ('{"roots": ["other"]}', "outside of its roots"),
        ('{"rego_version": 0}', "v0"),
        ('{"roots": "envoy"}', "array"),
        ('{"roots": [1]}', "array"),
        ("[]", "no object"),
        ("{", "no JSON"),
    ],
)
def test_a_manifest_is_kept(tmp_path: Path, manifest: str, what: str) -> None:
    tar(tmp_path / "b.tar.gz", {".manifest": manifest, "envoy/a.rego": ALLOW})
    assert what in mistakes(tmp_path, "b.tar.gz")[0]


def test_data_outside_of_the_roots_is_refused(tmp_path: Path) -> None:
    tar(tmp_path / "b.tar.gz", {".manifest": '{"roots": ["envoy"]}', "a.rego": ALLOW, "roles/data.json": "{}"})
    assert "roles/data.json, which is outside" in mistakes(tmp_path, "b.tar.gz")[0]


def test_s34_a_bundle_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar(tmp_path / "b.tar.gz", {"a.rego": ALLOW, "zeros": bytes(100_000)})
    assert load(("b.tar.gz",), tmp_path).modules
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    assert "larger than" in mistakes(tmp_path, "b.tar.gz")[0]
    monkeypatch.setattr(archive, "MAX_BYTES", 200_000)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 1)
    assert "more than" in mistakes(tmp_path, "b.tar.gz")[0]


def test_a_bundle_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "b.tar.gz", {"a.rego": ALLOW * 1000})
    path.write_bytes(path.read_bytes()[:-20])
    assert mistakes(tmp_path, "b.tar.gz")


def test_a_link_back_to_a_folder_on_the_way_is_a_mistake(tmp_path: Path) -> None:
    files(tmp_path, {"policy/sub/a.rego": ALLOW})
    (tmp_path / "policy/sub/back").symlink_to("..")
    assert "a link to a folder that it stands in" in "".join(mistakes(tmp_path, "policy"))


def test_two_links_to_one_folder_are_read_twice(tmp_path: Path) -> None:
    files(tmp_path, {"policy/a.rego": ALLOW, "shared/data.json": '{"x": 1}'})
    for name in ("one", "two"):
        (tmp_path / "policy" / name).symlink_to("../shared")
    assert load(("policy",), tmp_path).data == {"one": {"x": 1}, "two": {"x": 1}}


def test_whatever_goes_wrong_in_reading_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("ztag_extauthz.authorization.bundle.archive._decompressed", fails)
    assert "ZeroDivisionError" in "".join(mistakes(tmp_path, "b.tar.gz"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    contents = {f"{name}/a.rego": f"package {name}\nresult := true" for name in ("a", "b", "c")}
    return tar(tmp_path_factory.mktemp("sound") / "b.tar.gz", contents).read_bytes()


def loads(folder: Path, octets: bytes) -> int:
    """Return how many modules a bundle of these octets has, 0 for one that is refused."""
    (folder / "b.tar.gz").write_bytes(octets)
    try:
        return len(load(("b.tar.gz",), folder).modules)
    except PolicyError:
        return 0


def test_a_bundle_that_is_cut_anywhere_is_refused(sound: bytes, tmp_path: Path) -> None:
    assert loads(tmp_path, sound) == 3
    assert not any(loads(tmp_path, sound[:length]) for length in range(len(sound)))


def test_an_archive_that_is_cut_before_it_was_compressed_is_refused(sound: bytes, tmp_path: Path) -> None:
    stream = gzip.decompress(sound)
    for length in range(0, 3 * 1024 + 1024, 256):
        assert not loads(tmp_path, gzip.compress(stream[:length]))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_bundle_is_read_as_a_whole_or_not_at_all(sound: bytes, tmp_path: Path, data: st.DataObject) -> None:
    octets = bytearray(sound)
    octets[data.draw(st.integers(10, len(sound) - 1))] ^= data.draw(st.integers(1, 255))
    assert loads(tmp_path, bytes(octets)) in (0, 3)  # the name in its header says nothing
    stream = bytearray(gzip.decompress(sound))
    place = data.draw(st.sampled_from([0, 1024, 2048])) + data.draw(st.integers(100, 262))
    stream[place] ^= data.draw(st.integers(1, 255))
    assert loads(tmp_path, gzip.compress(bytes(stream), 1)) in (0, 3)  # the sum's own padding


def test_what_a_long_name_unpacks_to_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    path = tar(tmp_path / "b.tar.gz", {"a.rego": ALLOW, "x" * 200_000: ""})
    assert path.stat().st_size < 10_000
    assert "larger than 100000 bytes" in "".join(mistakes(tmp_path, "b.tar.gz"))
