"""The control groups (cgroups) of this process, which limit the memory and cores of a container."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Controller = Literal["memory", "cpu"]
MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")


def control_groups(
    controller: Controller, membership: Path = MEMBERSHIP, root: Path = ROOT
) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the process's control groups and their ancestors, with their version (1 or 2).

    A container usually sees its own group as the root, but `membership` may give its path on the host.
    Source: Linux's admin-guide/cgroup-v1/ and admin-guide/cgroup-v2.rst.
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
