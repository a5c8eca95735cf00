"""Files are replaced whole or not at all: what may be replaced, whose they stay, and who wins of many writers."""

import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

import ketgrad as kg
from ketgrad.foundation import files
from ketgrad.foundation.files import write_atomically


def no_regular_files(folder):
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to("circle")
    (folder / "link to a pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    (folder / "link to a socket").symlink_to("socket")
    return sorted(folder.iterdir())


def test_only_a_regular_file_is_ever_replaced(tmp_path):
    paths = [*no_regular_files(tmp_path), pathlib.Path("/"), pathlib.Path(".")]
    before = [stat.S_IFMT(os.lstat(path).st_mode) for path in paths]
    for path in paths:
        for overwrite in (True, False):
            with pytest.raises(kg.KetgradError):
                write_atomically(path, "new", overwrite=overwrite)
    assert [stat.S_IFMT(os.lstat(path).st_mode) for path in paths] == before
    assert len(list(tmp_path.iterdir())) == 6


NAMES = {
    "empty": ("", kg.errors.KetgradValueError),
    "a point": (".", kg.errors.KetgradOSError),
    "two points": ("..", kg.errors.KetgradOSError),
    "NUL": ("a\0b", kg.errors.KetgradValueError),
    "half a character": ("a\ud800", kg.errors.KetgradValueError),
    "300 letters": ("n" * 300, kg.errors.KetgradOSError),
    "a file as folder": (f"{__file__}/x", kg.errors.KetgradOSError),
    "a number": (0, kg.errors.KetgradTypeError),
    "True": (True, kg.errors.KetgradTypeError),
    "None": (None, kg.errors.KetgradTypeError),
    "bytes": (b"name", kg.errors.KetgradTypeError),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_the_name_of_a_file_is_refused_by_saving_and_loading(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, kind = NAMES[name]
    for call in (lambda: kg.save(kg.Circuit([kg.h(0)]), path, overwrite=True), lambda: kg.load(path)):
        with pytest.raises(kind):
            call()
    os.fstat(0)  # standard input is still open
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [1, 63, 120, 240])
def test_a_name_may_be_as_long_as_the_system_allows(length, tmp_path):
    for name in ("n" * length, "ü" * (length // 2 + 1), "𝄞" * (length // 4 + 1)):
        assert write_atomically(tmp_path / name, "new", overwrite=True).read_text() == "new"
        os.unlink(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    file, link = tmp_path / "folder" / "file", tmp_path / "link"
    link.symlink_to("folder/file")
    with pytest.raises(kg.KetgradError):  # it leads to nothing, but its name is taken
        write_atomically(link, "first")
    assert not file.exists()
    for text in ("second", "third"):
        assert write_atomically(link, text, overwrite=True) == link
        assert link.is_symlink() and file.read_text() == text and not file.is_symlink()
    assert os.listdir(tmp_path / "folder") == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o400, 0o755])
def test_permissions_stay_and_new_files_follow_the_mask(mode, tmp_path):
    old = os.umask(0o027)
    try:
        path = write_atomically(tmp_path / "file", "old")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(mode)
        write_atomically(path, "new", overwrite=True)
        assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == "new"
        os.umask(0)
        assert stat.S_IMODE(write_atomically(tmp_path / "open", "new").stat().st_mode) == 0o666
    finally:
        os.umask(old)


def test_without_the_old_group_the_new_group_sees_nothing(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "file", "old")
    path.chmod(0o664)
    found, asked = os.lstat(path), []

    def refuse(descriptor, owner, group):
        asked.append((owner, group))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    altered = os.stat_result((*found[:5], found.st_gid + 1, *found[6:]))
    descriptor = os.open(path, os.O_WRONLY)
    files._keep_owner(descriptor, altered)
    os.close(descriptor)
    assert asked == [(found.st_uid, found.st_gid + 1)] and stat.S_IMODE(path.stat().st_mode) == 0o604


def winners(path, count=8):
    """How many of `count` writers at once were told that they had written, and what the file holds."""
    start, told = threading.Barrier(count), []

    def write(text):
        start.wait()
        try:
            write_atomically(path, text)
        except kg.errors.KetgradOSError as error:
            assert error.errno == 17
        else:
            told.append(text)

    threads = [threading.Thread(target=write, args=(str(k) * 1000,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told, path.read_text()


@pytest.mark.parametrize("links", [True, False])
def test_of_many_writers_that_may_not_overwrite_exactly_one_wins(links, tmp_path, monkeypatch):
    def no_links(*arguments, **options):
        raise PermissionError(1, "Operation not permitted")

    if not links:  # as on a memory stick
        monkeypatch.setattr(os, "link", no_links)
    for turn in range(20):
        told, text = winners(tmp_path / str(turn))
        assert told == [text]
    assert len(os.listdir(tmp_path)) == 20


WRITER = """
import os, sys, time
from ketgrad.foundation import files
def stop(*arguments):
    print("ready", flush=True)
    time.sleep(60)
files.os = type("Os", (), {**vars(os), "fsync": stop})
files.write_atomically(sys.argv[1], "half", overwrite=True)
"""


def test_what_a_killed_writer_left_is_swept_and_a_living_one_is_not_disturbed(tmp_path):
    path = write_atomically(tmp_path / "m.ketgrad", "old")
    foreign = tmp_path / ".m.ketgrad.notes"
    foreign.write_text("mine")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    (leftover,) = tmp_path.glob(".m.ketgrad.*.part")
    write_atomically(path, "new", overwrite=True)
    write_atomically(tmp_path / "other", "new")
    assert leftover.exists()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert leftover.exists() and path.read_text() == "new"
    write_atomically(tmp_path / "other", "newer", overwrite=True)  # another name: not its business
    assert leftover.exists()
    write_atomically(path, "newest", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == [".m.ketgrad.notes", "m.ketgrad", "other"]


def test_writers_and_sweepers_at_once_lose_nothing(tmp_path):
    path, failures = tmp_path / "file", []

    def write(text):
        for _ in range(100):
            try:
                write_atomically(path, text, overwrite=True)
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=write, args=(letter * 5000,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (
        not failures
        and os.listdir(tmp_path) == ["file"]
        and path.read_text() in [c * 5000 for c in "abcdefgh"]
    )


def test_without_locks_only_what_is_a_day_old_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    young, old = (tmp_path / f".file.{digit * 16}.part" for digit in "01")
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (time.time() - 100_000,) * 2)
    write_atomically(tmp_path / "file", "new", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == [young.name, "file"]


def held(folder):
    """The files of a folder that this process holds open."""
    links = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return [link for link in links if link.startswith(str(folder))]


def test_without_locks_a_file_is_closed_before_it_takes_its_name(tmp_path, monkeypatch):
    """Windows renames nothing that is open."""
    open_then, replace = [], os.replace

    def watched(*names):
        open_then.append(held(tmp_path))
        replace(*names)

    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(os, "replace", watched)
    monkeypatch.setattr(os, "rename", watched)
    for overwrite in (False, True):
        assert write_atomically(tmp_path / "file", "new", overwrite=overwrite).read_text() == "new"
        assert open_then.pop() == [] and os.listdir(tmp_path) == ["file"]


def test_a_writer_whose_file_was_swept_before_it_was_locked_takes_another_and_holds_none_open(
    tmp_path, monkeypatch
):
    swept, lock = [], files._lock

    def sweep_first(descriptor):
        if not swept:
            swept.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            os.unlink(swept[0])
        return lock(descriptor)

    monkeypatch.setattr(files, "_lock", sweep_first)
    assert write_atomically(tmp_path / "file", "new").read_text() == "new"
    assert len(swept) == 1 and os.listdir(tmp_path) == ["file"] and not held(tmp_path)


def test_no_files_are_written_together_too():
    assert files.write_together({}) == ()
