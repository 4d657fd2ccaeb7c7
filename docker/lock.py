"""Rewrite each `requirements.txt` from the `requirements.in` beside it: every package, every version.

Each layer holds what it adds to the one before, so the files install one after the other with `--no-deps`.
A requirement marked `# alone` is taken without what it asks for: nnU-Net's packages ask for a GPU build of
torch, for plotting and for more that prediction never imports. Where pip finds no CPU build of torch, set
`PIP_EXTRA_INDEX_URL` to the index where PyTorch keeps them.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("docker/runtime", "docker/tools", "tests")
HEADER = "# Written by docker/lock.py from requirements.in; install with --no-deps.\n"
ALONE = "# alone"


def pins(versions: dict[str, str]) -> list[str]:
    """Lines of a requirements file."""
    return sorted(f"{name}=={version}" for name, version in versions.items())


def resolve(requirements: list[str], pinned: dict[str, str], *options: str) -> dict[str, str]:
    """Versions by package name that pip would install into an empty environment."""
    if not requirements:
        return {}
    with TemporaryDirectory() as folder:
        report, constraints = Path(folder) / "report.json", Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(pins(pinned)))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        files = ["--report", str(report), "--constraint", str(constraints)]
        subprocess.run([*command, *files, *options, *requirements], check=True)
        packages = [install["metadata"] for install in json.loads(report.read_text())["install"]]
    return {package["name"].lower().replace("_", "-"): package["version"] for package in packages}


def lock(layer: str, pinned: dict[str, str]) -> dict[str, str]:
    """Pin one layer on top of what the layers before it pinned; return both."""
    folder = ROOT / layer
    lines = (folder / "requirements.in").read_text().splitlines()
    alone = [line.removesuffix(ALONE).strip() for line in lines if line.endswith(ALONE)]
    whole = [line for line in lines if not line.endswith(ALONE)]
    found = resolve(whole, pinned) | resolve(alone, pinned, "--no-deps")
    added = {name: version for name, version in found.items() if name not in pinned}
    (folder / "requirements.txt").write_text(HEADER + "\n".join(pins(added)) + "\n")
    return pinned | found


def main() -> None:
    """Pin the layers in their order."""
    pinned: dict[str, str] = {}
    for layer in LAYERS:
        pinned = lock(layer, pinned)


if __name__ == "__main__":
    main()
