"""Real signals, turned into events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from disks import FaultyDisk, why_not
from stillsift.service.signals import Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_sets_stop_and_wakes_the_main_thread(number: signal.Signals) -> None:
    with Signals() as signals:
        os.kill(os.getpid(), number)
        signals.wait(30)
        assert signals.stop.is_set()
        assert not signals.reload.is_set()


def test_a_request_to_end_is_heard_while_the_main_thread_waits_for_a_disk(tmp_path: Path) -> None:
    if (why := why_not()) is not None:
        pytest.skip(why)
    program = """
import os, sys, threading
from stillsift.service.signals import Signals
with Signals() as signals:
    def end():
        print("waits", flush=True)
        signals.stop.wait()
        os._exit(7)
    threading.Thread(target=end).start()
    os.stat(sys.argv[1])
"""
    with closing(FaultyDisk(tmp_path / "disk")) as disk:
        disk.hang("lookup")
        words = [sys.executable, "-c", program, str(disk.path / "a")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "waits\n"
            time.sleep(0.5)
            child.terminate()
            assert child.wait(30) == 7


def test_sighup_sets_reload_only() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.reload.wait(30)
        assert not signals.stop.is_set()


def test_a_second_interrupt_is_not_caught() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.stop.wait(30)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_and_wake_up_descriptor_are_put_back() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Signals():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_that_hit_the_main_thread_inside_the_events_lock_do_no_harm() -> None:
    # With events set by the handlers themselves this child stands still within a second.
    program = """
import os, signal, threading
from stillsift.service.signals import Signals
with Signals() as signals:
    main = threading.main_thread().ident
    def knock():
        for _ in range(3000):
            signal.pthread_kill(main, signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=knock, daemon=True).start()
    while not signals.stop.is_set():
        signals.reload.wait(0)
        signals.reload.clear()
        signals.wait(0.0001)
"""
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
