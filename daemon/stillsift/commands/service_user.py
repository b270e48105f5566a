"""Finds the user that the service runs as, and looks at files as that user would."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USUAL = "stillsift"
"""User that systemd/stillsift.sysusers makes."""


def service_user(store: Path) -> pwd.struct_passwd | None:
    """Returns the user of the service, who owns the store; None: there is none to be seen.

    Only root needs to ask: anybody else runs the service as himself, or cannot look as another.
    """
    try:
        owner = store.stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    except (OSError, KeyError):
        pass
    try:
        return pwd.getpwnam(_USUAL)
    except KeyError:
        return None


@contextmanager
def acting_as(user: pwd.struct_passwd | None) -> Iterator[None]:
    """Gives the whole process the rights of another user for a while; None: changes nothing."""
    if user is None:
        yield
        return
    groups, group, own = os.getgroups(), os.getegid(), os.geteuid()
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(own)
        os.setegid(group)
        os.setgroups(groups)
