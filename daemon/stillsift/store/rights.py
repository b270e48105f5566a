"""Tells whether this user may take files out of a folder: that needs the folder, not the file."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

_EFFECTIVE = os.access in os.supports_effective_ids


LEAVE = "set `retire: leave`"
"""What to do instead where a configuration says what becomes of originals."""


def refusal(folder: Path, instead: str = LEAVE) -> str | None:
    """Returns why no file can be moved out of `folder` or deleted there; None: it can be.

    A folder that is not there refuses nothing. `instead`: what else to do.
    """
    there = os.path.exists(folder)  # noqa: PTH110  # Path.exists raises where the disk fails
    if not there or os.access(folder, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        return None
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return (
            f"{folder}: nothing can be taken out of it: the file system is read-only; mount it "
            "writable"
        )
    user = user_name(os.geteuid())
    return (
        f"{folder}: {user} may not take files out of it; let {user} write there (chmod, chgrp or "
        f"an ACL; under systemd ReadWritePaths={folder} as well), or {instead}"
    )


def sticky_refusal(folder: Path) -> str | None:
    """Returns which file cannot be moved out of a folder with the sticky bit; None: each can be.

    Out of such a folder, as /tmp is one, only the owner of a file may take it.
    """
    try:
        facts = folder.stat()
        if not facts.st_mode & stat.S_ISVTX or os.geteuid() in (0, facts.st_uid):
            return None
        with os.scandir(folder) as entries:
            owners = ((each.name, each.stat(follow_symlinks=False).st_uid) for each in entries)
            foreign = next((name for name, uid in owners if uid != os.geteuid()), None)
    except OSError:
        return None
    if foreign is None:
        return None
    return (
        f"{folder}: {user_name(os.geteuid())} may not take {foreign} out of it: the folder is "
        "sticky, and the file another user's; take the bit away (chmod -t), or set `retire: leave`"
    )


def user_name(uid: int) -> str:
    """Returns the name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
