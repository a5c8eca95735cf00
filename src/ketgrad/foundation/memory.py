"""The one memory preflight: every allocation above 64 MiB asks here first, in integers that cannot overflow."""

from __future__ import annotations

import os
from pathlib import Path

from ketgrad.foundation.errors import KetgradMemoryError

FREE_BELOW = 64 * 2**20  # requests below this many bytes are not checked
LARGEST_SIZE = 10_000  # qubits whose states are told apart by their size


def available_bytes() -> int:
    """Bytes that this process may still allocate: the least of free memory, control-group limit and RLIMIT_AS.

    Cost: about 50 microseconds (three small files under /proc and /sys); portable fallbacks elsewhere.

    >>> available_bytes() > 0
    True
    """
    known = [
        limit for limit in (_free_memory(), _control_group_room(), _address_space_room()) if limit is not None
    ]
    return max(0, min(known)) if known else 2**62


def reserve(num_bytes: int, what: str, way_out: str = "") -> None:
    """Raise `KetgradMemoryError` if `num_bytes` for `what` do not fit into the memory that is available now.

    Nothing is allocated. `what` reads as a noun ("the state of 40 qubits"), `way_out` as a sentence.
    Requests below 64 MiB pass unchecked.

    >>> reserve(2**60, "the state of 56 qubits")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradMemoryError: the state of 56 qubits needs 1.0 EiB, but only ...
    """
    if num_bytes <= FREE_BELOW:
        return
    room = available_bytes()
    if num_bytes > room:
        tail = f" {way_out}" if way_out else ""
        raise KetgradMemoryError(
            f"{what} needs {readable(num_bytes)}, but only {readable(room)} are usable on this machine.{tail}"
        )


def readable(num_bytes: int) -> str:
    """A byte count with a binary unit; exact integers of any size are fine.

    >>> readable(3 * 2**30), readable(16 * 2**40), readable(12)
    ('3.0 GiB', '16.0 TiB', '12 bytes')
    """
    if num_bytes < 1024:
        return f"{num_bytes} bytes"
    units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    power = min((num_bytes.bit_length() - 1) // 10, len(units))
    if num_bytes >> 70:
        return f"2^{num_bytes.bit_length() - 1} bytes"
    return f"{num_bytes / 1024**power:.1f} {units[power - 1]}"


def state_bytes(num_qubits: int, batch: int = 1, itemsize: int = 16) -> int:
    """Bytes of `batch` state vectors of `num_qubits` qubits.

    >>> state_bytes(10)
    16384
    """
    # beyond 2^10000 the exact number helps nobody and a shift by 10^6 or 2^63 bits would itself exhaust memory
    return batch * itemsize << min(num_qubits, LARGEST_SIZE)


def _free_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux: ask the system configuration instead
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _control_group_room() -> int | None:
    """Limit minus usage of the memory control group, version 2 or 1; None where there is no limit."""
    for limit, usage, reclaimable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        root = Path("/sys/fs/cgroup")
        try:
            text = (root / limit).read_text(encoding="ascii").strip()
            if text == "max" or int(text) >= 2**60:
                return None
            used = int((root / usage).read_text(encoding="ascii"))
            statistics = (root / usage).with_name("memory.stat").read_text(encoding="ascii")
        except (OSError, ValueError):
            continue  # this version of control groups is not mounted
        cache = next(
            (int(row.split()[1]) for row in statistics.splitlines() if row.split()[0] == reclaimable), 0
        )
        return int(text) - used + cache
    return None


def _address_space_room() -> int | None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return soft
    return soft - pages * os.sysconf("SC_PAGE_SIZE")
