"""The page's files; NiiVue, which shows the images, comes from npm and is fetched once."""

import shutil
import subprocess
from pathlib import Path

from common.errors import MachineError

PAGE = Path(__file__).with_name("page")
NIIVUE = PAGE / "node_modules/@niivue/niivue/dist/index.js"


def provide_niivue() -> None:
    """Install what `package-lock.json` pins, unless it is there; raises `MachineError` where npm cannot."""
    if NIIVUE.is_file():
        return
    if shutil.which("npm") is None:
        raise MachineError(f"{PAGE}: NiiVue is not there, and npm neither; install it (apt-get install npm)")
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    ended = subprocess.run(command, cwd=PAGE, capture_output=True, text=True, check=False)
    if ended.returncode != 0 or not NIIVUE.is_file():
        lines = ended.stderr.strip().splitlines() or ["no reason given"]
        raise MachineError(
            f"{PAGE}: npm cannot install NiiVue ({lines[0]}); see that its registry is reached"
        )
