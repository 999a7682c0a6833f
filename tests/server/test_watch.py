import os
from pathlib import Path

from ztag_extauthz.server.watch import fingerprint


def test_nothing_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    assert fingerprint([tmp_path]) == fingerprint([tmp_path])


def test_contents_names_and_absence_are_changes(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "a.rego"
    seen = [fingerprint([folder, tmp_path / "ztag.yaml"])]

    def changed() -> bool:
        seen.append(fingerprint([folder, tmp_path / "ztag.yaml"]))
        return seen[-1] not in seen[:-1]

    file.write_text("1")
    assert changed()
    file.write_text("22")
    assert changed()
    os.utime(file, (1, 1))
    assert changed()
    file.rename(folder / "b.rego")
    assert changed()
    (tmp_path / "ztag.yaml").write_text("{}")
    assert changed()
    (folder / "b.rego").unlink()
    assert changed()


def test_the_link_swap_of_a_configmap_is_a_change(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.rego").write_text("same size")
        os.utime(tmp_path / version / "a.rego", (1, 1))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "a.rego").symlink_to("..data/a.rego")
    before = fingerprint([tmp_path / "a.rego"]), fingerprint([tmp_path])
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    after = fingerprint([tmp_path / "a.rego"]), fingerprint([tmp_path])
    assert before[0] != after[0]
    assert before[1] != after[1]
