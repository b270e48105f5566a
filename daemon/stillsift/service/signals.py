"""Turns signals into events that threads can wait for."""

from __future__ import annotations

import signal
import socket
import threading


class Signals:
    """Sets `stop` at SIGTERM and SIGINT, and `reload` at SIGHUP.

    A context manager for the main thread. A second SIGINT raises KeyboardInterrupt, so that Ctrl-C
    twice always ends the command.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = threading.Event()
        self._news = threading.Event()
        self._asked_to_stop = False
        """Whether a handler saw a signal to stop."""

    def wait(self, timeout_s: float) -> None:
        """Returns at the next signal, or after `timeout_s` seconds."""
        self._news.wait(timeout_s)
        self._news.clear()
        if self._asked_to_stop:
            self.stop.set()

    def wake(self) -> None:
        """Lets `wait` return as at a signal."""
        self._news.set()

    def __enter__(self) -> Signals:
        # The events are set by a thread that reads the wake-up descriptor, not by the handlers. A
        # handler interrupts the main thread anywhere. If that is in Event.wait, Event.set waits for
        # a lock that the same thread holds. The descriptor holds some hundred signals and drops
        # the rest, so the handlers note the request to stop, which must not be lost.
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._previous_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._ask_to_stop),
            signal.SIGHUP: signal.signal(signal.SIGHUP, _leave_to_the_thread),
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupted),
        }
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        # From now on the kernel gives SIGTERM to that thread. The main thread may wait in a call to
        # a disk that does not answer, and would take it only after that.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        return self

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def _listen(self) -> None:
        while numbers := self._reader.recv(64):
            for number in numbers:
                if number in (signal.SIGTERM, signal.SIGINT):
                    self.stop.set()
                elif number == signal.SIGHUP:
                    self.reload.set()
            self._news.set()

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._asked_to_stop = True

    def _interrupted(self, _number: int, _frame: object) -> None:
        self._asked_to_stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave_to_the_thread(_number: int, _frame: object) -> None:
    """Does nothing; without a Python handler no byte would come to the wake-up descriptor."""
