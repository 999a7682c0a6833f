from pathlib import Path

from tests.server.process import write_config, write_policy
from ztag_extauthz.server.kept import LARGEST, Keeper
from ztag_extauthz.settings import load


def keeper(folder: Path) -> Keeper:
    return Keeper(folder / "kept", folder)


def test_the_paths_lead_to_copies(tmp_path: Path) -> None:
    write_policy(tmp_path, "one")
    write_config(tmp_path)
    settings = load(tmp_path / "ztag.yaml", {})
    kept = keeper(tmp_path).copy(settings)
    assert kept is not None
    (name,) = set(settings.files())
    (moved,) = set(kept.files())
    write_policy(tmp_path, "two")
    assert "one" in Path(moved).read_text()
    assert Path(moved).name == Path(name).name
    assert kept.model_dump(exclude={"authorization"}) == settings.model_dump(exclude={"authorization"})


def test_a_mounted_config_map_is_copied_once(tmp_path: Path) -> None:
    policies = tmp_path / "policy"
    (policies / "..v1").mkdir(parents=True)
    (policies / "..v1" / "a.rego").write_text("package a")
    (policies / "..data").symlink_to("..v1")
    (policies / "a.rego").symlink_to("..data/a.rego")
    write_config(tmp_path, authorization=[{"kind": "rego", "policies": ["policy"]}])
    kept = keeper(tmp_path).copy(load(tmp_path / "ztag.yaml", {}))
    assert kept is not None
    (copied,) = kept.files()
    assert [path.name for path in Path(copied).iterdir()] == ["a.rego"]
    assert (Path(copied) / "a.rego").read_text() == "package a"
    assert not (Path(copied) / "a.rego").is_symlink()


def test_what_is_missing_is_not_kept(tmp_path: Path) -> None:
    write_config(tmp_path, authorization=[{"kind": "rego", "policies": ["none.rego"]}])
    assert keeper(tmp_path).copy(load(tmp_path / "ztag.yaml", {})) is None
    assert not [*(tmp_path / "kept").iterdir()]


def test_only_the_newest_copy_stays(tmp_path: Path) -> None:
    write_policy(tmp_path, "one")
    write_config(tmp_path)
    keep = keeper(tmp_path)
    for _ in range(11):
        keep.copy(load(tmp_path / "ztag.yaml", {}))
    keep.settle(accepted=True)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["11"]
    keep.copy(load(tmp_path / "ztag.yaml", {}))
    keep.settle(accepted=False)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["11"]


def test_what_is_large_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "policy.rego").write_bytes(b"#" * (LARGEST + 1))
    write_config(tmp_path)
    kept = keeper(tmp_path).copy(load(tmp_path / "ztag.yaml", {}))
    assert kept is not None
    assert [*kept.files()] == [str(tmp_path / "policy.rego")]
