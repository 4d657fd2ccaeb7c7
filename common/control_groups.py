"""The control groups that the process is in, which bound a container's memory and cores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Controller = Literal["memory", "cpu"]
MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")


def control_groups(
    controller: Controller, membership: Path = MEMBERSHIP, root: Path = ROOT
) -> Iterator[tuple[Path, int]]:
    """Folders of the process's control groups and of those above them, with their version, 1 or 2.

    A container mostly sees its own group as the root, but may know itself by the path outside. Source:
    Linux's admin-guide/cgroup-v1/ and admin-guide/cgroup-v2.rst.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            version = 1 if controllers else 2
            top = root / controller if controllers else root
            group = top / path.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    yield folder, version
