"""Two networks of their own, joined by a cable that loses packets. Needs root.

Not every kernel has netem, so the cable is two tun devices with this process between them.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HERE, THERE = "10.99.0.1", "10.99.0.2"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_TUN_WITHOUT_HEADER = 0x1001  # IFF_TUN | IFF_NO_PI
_SET_TUN = 0x400454CA  # TUNSETIFF
_LIBC = ctypes.CDLL(None, use_errno=True)


class LossyNetwork:
    """Networks that this thread is in: `here` at first, `there` inside of `there()`.

    Processes that the thread starts are in the network that it is in then.
    """

    def __init__(self, loss: float) -> None:
        """Takes this thread into a network of its own; `loss`: share of packets, both ways."""
        self._loss = loss
        self.passed = self.lost = 0
        self._over = threading.Event()
        self._before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _check(_LIBC.unshare(_NEW_NETWORK))
        there = _tun(THERE)
        self._there = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _check(_LIBC.unshare(_NEW_NETWORK))
        here = _tun(HERE)
        self._here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._ends = (here, there)
        self._cable = threading.Thread(target=self._carry, daemon=True)
        self._cable.start()

    @contextmanager
    def there(self) -> Iterator[None]:
        _check(_LIBC.setns(self._there, _NEW_NETWORK))
        try:
            yield
        finally:
            _check(_LIBC.setns(self._here, _NEW_NETWORK))

    def close(self) -> None:
        """Takes the thread back."""
        self._over.set()
        self._cable.join()
        _check(_LIBC.setns(self._before, _NEW_NETWORK))
        for each in (*self._ends, self._before, self._there, self._here):
            os.close(each)

    def _carry(self) -> None:
        here, there = self._ends
        while not self._over.is_set():
            for end in select.select(self._ends, [], [], 0.2)[0]:
                packet = os.read(end, 65536)
                if random.random() < self._loss:
                    self.lost += 1
                    continue
                self.passed += 1
                os.write(there if end == here else here, packet)


def _tun(address: str) -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, _SET_TUN, struct.pack("16sH22x", b"cable", _TUN_WITHOUT_HEADER))
    for command in (f"addr add {address}/24 dev cable", "link set cable up", "link set lo up"):
        subprocess.run(["ip", *command.split()], check=True)
    return tun


def _check(result: int) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
