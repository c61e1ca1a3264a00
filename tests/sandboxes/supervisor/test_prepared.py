"""What makes languages start fast lies in one cache, which different toolchains and versions share."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from sandboxes.supervisor.jails import NoJail
from sandboxes.supervisor.languages.base import Setting, Strategy
from sandboxes.supervisor.processes import SandboxFault


class Made(Strategy):
    """A language whose toolchain can change."""

    language = "made"
    toolchain = "1.0"

    def version(self) -> str:
        return self.toolchain

    def prepare(self, warm: Path) -> None:
        (warm / "library").write_text(self.toolchain)


class Newer(Made):
    toolchain = "2.0"


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    (tmp_path / "work").mkdir()
    return Setting(NoJail(tmp_path / "work"), None, tmp_path / "cache")


def test_two_toolchains_at_once_have_a_folder_each(setting: Setting) -> None:
    one, other = Made(setting), Newer(setting)
    assert (one.warm / "library").read_text() == "1.0"
    assert (other.warm / "library").read_text() == "2.0"
    assert (one.warm / "library").read_text() == "1.0"
    (one.warm / "note").write_text("stays")
    assert (Made(setting).warm / "note").read_text() == "stays"


def test_what_is_prepared_elsewhere_holds_paths_of_elsewhere(setting: Setting, tmp_path: Path) -> None:
    """The supervisor in its namespace and one outside see one cache under two names."""
    inside = Made(setting).warm
    (tmp_path / "outside").symlink_to(setting.scratch)
    outside = Made(Setting(setting.jail, None, tmp_path / "outside")).warm
    assert outside.resolve() != inside


def test_what_nobody_used_for_long_is_removed_and_what_is_in_use_is_not(setting: Setting) -> None:
    long_ago = time.time() - 90 * 24 * 3600
    unused, used, recent = type("A", (Made,), {"toolchain": "a"}), type("B", (Made,), {"toolchain": "b"}), Newer
    folders = [unused(setting).warm, recent(setting).warm]
    user = used(setting)
    folders.append(user.warm)
    for folder in (folders[0], folders[2]):
        os.utime(folder.with_name(f"{folder.name}.lock"), (long_ago, long_ago))
    assert Made(setting).warm.is_dir()
    assert [folder.is_dir() for folder in folders] == [False, True, True]
    del user


def test_a_half_prepared_folder_is_made_again(setting: Setting) -> None:
    folder = Made(setting).warm
    (folder / "mark").unlink()
    (folder / "library").write_text("half")
    assert Made(setting).warm == folder
    assert (folder / "library").read_text() == "1.0"


def test_where_files_cannot_be_locked_it_says_what_to_do(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("sandboxes.supervisor.languages.base.fcntl.flock", without_locks)
    with pytest.raises(SandboxFault, match=r"cannot be locked \(Function not implemented\): set XDG_CACHE_HOME"):
        assert Made(setting).warm
