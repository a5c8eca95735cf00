"""Layer 4: executors run programs. `protocol` is all that is asked of a back end, `table` lists those that there are.

A back end of your own: an object with `name`, `abilities` and `run`, or a device with `counts` alone; pass it as
`executor=`. See `protocol.Executor` and `protocol.Device`.
"""

from ketgrad.executors.protocol import Counts, Device, Execution, Executor, counted
from ketgrad.executors.table import EXECUTORS, get

__all__ = ["EXECUTORS", "Counts", "Device", "Execution", "Executor", "counted", "get"]


def __dir__() -> list[str]:
    return __all__
