"""A cohort on a real Slurm of one node, by the profile in docs/."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cli.main import main
from common.cohort.outcome import read_outcome
from tests.support.platform import REPOSITORY
from tests.support.slurm import slurm

PROFILE = REPOSITORY / "docs/profiles/slurm/config.yaml"
WITHOUT_ACCOUNTING = "slurm-status-command: squeue\nslurm-init-seconds-before-status-checks: 5\n"


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of its logs."""
    folder = tmp_path_factory.mktemp("slurm")
    with slurm(folder):
        yield folder


def test_jobs_of_a_cohort_run_on_the_cluster(cluster: Path, golden_model: Path, tmp_path: Path) -> None:
    shape = ["--shape", "20", "30", "32", "--spacing", "6", "4", "4"]
    assert main(["phantom", "--output", str(tmp_path / "cases"), "--cohort", "2", *shape]) == 0
    (tmp_path / "profile").mkdir()
    profile = PROFILE.read_text().replace("latency-wait: 60", "latency-wait: 5")
    (tmp_path / "profile/config.yaml").write_text(WITHOUT_ACCOUNTING + profile)
    output = tmp_path / "out"
    where = ["--model", str(golden_model), "--output", str(output), "--profile", str(tmp_path / "profile")]
    command = ["cohort", str(tmp_path / "cases"), "--algorithm", "autopet_interactive", "--jobs", "2", *where]
    assert main(command) == 0
    for name in ("phantom_0", "phantom_1"):
        outcome = read_outcome(output / name)
        assert outcome
        assert not outcome.failure
    assert (cluster / "slurmctld.log").read_text().count(" WEXITSTATUS 0") == 2
