"""The kernels that TensorRT-RTX compiled when engines first ran, kept for the next process.

The file is in the folder for temporary files. Without it, or with one that is damaged or of another GPU or
version, they are compiled again.
"""

import logging
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from common.inference.engines.gpu import GpuInfo

logger = logging.getLogger(__name__)


class RuntimeCache:
    """One cache for all engines of a process."""

    def __init__(self, gpu: GpuInfo, version: str) -> None:
        name = f"petct-{os.getuid()}-{version}-sm{gpu.capability_name.replace('.', '')}.cache"
        self.path = Path(tempfile.gettempdir()) / name
        self._cache: Any = None
        self._kept = b""

    def attach(self, configuration: Any) -> None:
        """Let an engine's runtime configuration use the cache."""
        if self._cache is None:
            self._cache = configuration.create_runtime_cache()
            self._kept = _read(self.path)
            if self._kept and not self._cache.deserialize(self._kept):
                logger.info("%s: of another GPU, driver or version; kernels are compiled again", self.path)
        configuration.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write the file where there is something new; what cannot be written is left."""
        content = bytes(self._cache.serialize()) if self._cache is not None else b""
        self._cache = None
        if not content or content == self._kept:
            return
        beside = self.path.with_suffix(f".{os.getpid()}")
        try:
            beside.write_bytes(content)
            beside.replace(self.path)
        except OSError as error:
            logger.info("%s: not written (%s)", self.path, error.strerror)


def _read(path: Path) -> bytes:
    """The file's content, empty unless this user wrote it: others could put their code on the GPU."""
    try:
        found = path.lstat()
        return path.read_bytes() if found.st_uid == os.getuid() and stat.S_ISREG(found.st_mode) else b""
    except OSError:
        return b""
