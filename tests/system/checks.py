"""Runs inside the container that nspawn_boot starts: the unit's promises, one after the other.

Prints one line for each; `all checks passed` is the last line if every one held.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

CONTAINER = Path("/run/systemd/container")
"""Written by a systemd that is the first process of a container."""
UNIT = "stillsift.service"
CONFIG = Path("/etc/stillsift/config.yaml")
PASSWORDS = Path("/etc/stillsift/passwords")
CAPTURE = Path("/srv/capture")
KEPT = Path("/var/lib/stillsift/kept")
PASSWORD = "correct-horse"

GOOD = """\
defaults: {gallery: %d, settle: 500ms}
sources:
  - {name: capture, directory: /srv/capture}
  - {name: porch, rtsp: "rtsp://127.0.0.1:9/cam", user: viewer, password_file: porch, timeout: 2s}
"""


def systemctl(*arguments: str, check: bool = True) -> None:
    subprocess.run(["systemctl", *arguments], check=check)


def shows(name: str) -> str:
    """A property of the unit."""
    command = ["systemctl", "show", "--value", f"--property={name}", UNIT]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def journal(since: float) -> str:
    subprocess.run(["journalctl", "--sync"], check=True)
    command = ["journalctl", f"--since=@{since:.6f}", f"--unit={UNIT}", "--output=cat"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def until(holds: Callable[[], bool], what: str, timeout_s: float = 60) -> float:
    """Wait for something; the seconds it took."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > timeout_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - begun


def drop_in(**settings: str) -> None:
    """Override settings of [Service], as `systemctl edit` does."""
    folder = Path(f"/etc/systemd/system/{UNIT}.d")
    folder.mkdir(exist_ok=True)
    lines = "".join(f"{key}={value}\n" for key, value in settings.items())
    (folder / "checks.conf").write_text(f"[Service]\n{lines}")
    systemctl("daemon-reload")


def capture(number: int) -> None:
    """A textured wall with a box somewhere else each time, written by a rename as cameras do."""
    wall = np.random.default_rng(0).integers(90, 130, (360, 640, 3), dtype=np.uint8)
    x, y = 30 + 150 * (number % 4), 20 + 110 * (number // 4)
    cv2.rectangle(wall, (x, y), (x + 110, y + 90), (230, 240, 250 - 20 * number), -1)
    cv2.putText(wall, str(number), (x + 20, y + 70), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (0, 0, 0), 6)
    part = CAPTURE / f".{number}.part.jpg"
    cv2.imwrite(str(part), wall)
    part.rename(CAPTURE / f"{number:04d}.jpg")


def kept() -> list[str]:
    """Hashes of the kept stills: one kept twice is in it twice."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in KEPT.rglob("*.jpg")]


def probed() -> bool:
    """Whether every source works, says the probe; the daemon may be ready before its sources."""
    try:
        urllib.request.urlopen("http://127.0.0.1:9478/readyz", timeout=10).close()
    except urllib.error.HTTPError:
        return False
    return True


def starts() -> None:
    begun = time.monotonic()
    systemctl("start", UNIT)
    took = time.monotonic() - begun
    assert shows("ActiveState") == "active"
    until(probed, "/readyz answers 200")
    print(f"start returned after {took:.1f} s, ready: {shows('StatusText')}")


def keeps() -> None:
    for number in range(5):
        capture(number)
    took = until(lambda: len(kept()) == 5, "five stills kept")
    owner = next(KEPT.rglob("*.jpg")).stat()
    print(
        f"5 stills kept after {took:.1f} s, mode {owner.st_mode & 0o777:o}, {shows('StatusText')}"
    )


def reloads() -> None:
    since, pid = time.time(), shows("MainPID")
    CONFIG.write_text(GOOD % 16)
    systemctl("reload", UNIT)
    until(lambda: "configuration read again" in journal(since), "the reload in the log")
    CONFIG.write_text("defaults: {galery: 16}\n")
    systemctl("reload", UNIT)
    until(lambda: "configuration not changed" in journal(since), "the refusal in the log")
    assert "galery" in journal(since)
    until(lambda: shows("ActiveState") == "active", "active again")
    assert shows("MainPID") == pid
    capture(5)
    until(lambda: len(kept()) == 6, "a still kept after the refused reload")
    CONFIG.write_text(GOOD % 16)
    print("reload of a good configuration taken, of a bad one refused, same process, still keeping")


def comes_back_after_a_kill() -> None:
    pid = int(shows("MainPID"))
    os.kill(pid, signal.SIGKILL)
    took = until(
        lambda: shows("ActiveState") == "active" and shows("MainPID") not in ("0", str(pid)),
        "another process",
    )
    capture(6)
    until(lambda: len(kept()) == 7, "a still kept after the restart")
    assert len(set(kept())) == 7
    print(f"back {took:.1f} s after kill -9, nothing kept twice")


def is_ended_when_it_stands_still() -> None:
    drop_in(WatchdogSec="4s", RestartSec="1s", TimeoutAbortSec="2s")
    systemctl("restart", UNIT)
    time.sleep(10)
    assert shows("NRestarts") == "0", "ended although it makes progress"
    since, pid = time.time(), int(shows("MainPID"))
    os.kill(pid, signal.SIGSTOP)
    took = until(lambda: shows("NRestarts") == "1", "a restart by the watchdog")
    assert "watchdog" in journal(since).lower()
    until(lambda: shows("ActiveState") == "active", "active again")
    print(f"alive for 10 s under a watchdog of 4 s; frozen, it was ended after {took:.1f} s")


def leaves_its_stacks_when_aborted() -> None:
    since = time.time()
    os.kill(int(shows("MainPID")), signal.SIGABRT)
    until(lambda: "Current thread" in journal(since), "the stacks of all threads")
    until(lambda: shows("ActiveState") == "active", "active again")
    print(f"aborted, it leaves the stacks of {journal(since).count('hread 0x')} threads in the log")


def stops() -> None:
    begun = time.monotonic()
    systemctl("stop", UNIT)
    took = time.monotonic() - begun
    assert took < 10, took
    assert (shows("ActiveState"), shows("Result")) == ("inactive", "success")
    print(f"stopped cleanly after {took:.1f} s")


def refuses_a_second_on_one_store() -> None:
    drop_in()
    systemctl("start", UNIT)
    second = subprocess.run(
        ["runuser", "-u", "stillsift", "--", "/opt/stillsift/bin/stillsift", "run", "-c", CONFIG],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        timeout=60,
        env={**os.environ, "CREDENTIALS_DIRECTORY": "/run/second"},
    )
    assert second.returncode == 75, second
    assert shows("ActiveState") == "active"
    print(f"a second daemon ends with 75: {second.stderr.strip().splitlines()[-1]}")


def does_not_retry_a_wrong_configuration() -> None:
    systemctl("stop", UNIT)
    CONFIG.write_text("defaults: {galery: 16}\n")
    systemctl("start", UNIT, check=False)
    until(lambda: shows("ActiveState") == "failed", "failed")
    assert (shows("ExecMainStatus"), shows("NRestarts")) == ("78", "0")
    print("a wrong configuration ends with 78 and is not tried again")


def kept_the_password_to_itself() -> None:
    assert "porch" in journal(0)
    assert PASSWORD not in journal(0)
    print("the camera's password, a credential, is nowhere in the journal")


def main() -> None:
    if not CONTAINER.exists():
        raise SystemExit(f"checks.py writes {CONFIG}: run tests/system/nspawn_boot instead")
    CAPTURE.mkdir(parents=True)
    PASSWORDS.mkdir(parents=True, mode=0o700)
    (PASSWORDS / "porch").write_text(PASSWORD)
    Path("/run/second").mkdir()
    Path("/run/second/porch").write_text(PASSWORD)
    CONFIG.write_text(GOOD % 32)
    unit = Path("/etc/systemd/system", UNIT)
    commented = "#LoadCredential=front-door:/etc/stillsift/passwords/front-door"
    text = unit.read_text()
    assert commented in text
    unit.write_text(text.replace(commented, f"LoadCredential=porch:{PASSWORDS}/porch"))
    systemctl("daemon-reload")

    starts()
    keeps()
    reloads()
    comes_back_after_a_kill()
    is_ended_when_it_stands_still()
    leaves_its_stacks_when_aborted()
    stops()
    refuses_a_second_on_one_store()
    does_not_retry_a_wrong_configuration()
    kept_the_password_to_itself()
    print("all checks passed")


if __name__ == "__main__":
    main()
