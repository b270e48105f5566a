"""Files are opened without a symbolic link on the way, and it is known who writes to one."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from stillsift.sources.files import opening
from stillsift.sources.files.opening import (
    being_written,
    is_being_written,
    opened,
    opened_folder,
)


def test_a_link_on_the_way_or_at_the_end_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a").write_bytes(b"a")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "b").symlink_to(tmp_path / "real" / "deep" / "a")
    with opened(tmp_path / "real" / "deep" / "a") as file:
        assert file.read() == b"a"
    for path in (tmp_path / "linked" / "deep" / "a", tmp_path / "b"):
        with pytest.raises(OSError, match=r"a|b|linked") as error, opened(path):
            pass
        assert error.value.errno in (errno.ELOOP, errno.ENOTDIR)
    with pytest.raises(OSError, match="linked"), opened_folder(tmp_path / "linked"):
        pass
    with (
        pytest.raises(OSError, match="linked"),
        opened_folder(tmp_path / "linked" / "new", make=True),
    ):
        pass
    assert not (tmp_path / "real" / "new").exists()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    with opened_folder(tmp_path / "a" / "b", make=True):
        pass
    assert (tmp_path / "a" / "b").is_dir()


def test_another_process_that_writes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    assert not is_being_written(path)
    code = "import sys; f = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        writer.stdout.readline()
        assert is_being_written(path)
        writer.stdin.close()
        writer.wait(10)
    assert not is_being_written(path)


def test_who_opens_a_file_while_it_is_asked_about_does_not_end_this_process(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    code = "import sys\nfor _ in range(20000): open(sys.argv[1], 'ab').close()"
    asked = 0
    with subprocess.Popen([sys.executable, "-c", code, path]) as writer, opened(path) as file:
        while writer.poll() is None:
            assert being_written(file.fileno()) is not None
            asked += 1
    assert writer.returncode == 0
    assert asked > 100


def test_on_a_disk_of_the_network_a_refused_lease_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS and SMB refuse one whenever their server has not delegated the file."""
    monkeypatch.setattr(opening, "_LOCAL", frozenset())
    path = tmp_path / "a"
    with path.open("wb"), opened(path) as file:
        assert being_written(file.fileno()) is None
