"""The commands of README.md and docs/, run as they are written: each page on a local AWS of its own, in a terminal.

A page's blocks that are marked `runnable` are one script, in their order. Blocks marked `slow` are a part of it with `--slow`.
"""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import terraform
from local_aws import BUILT_TEMPLATE, FUNCTION, ROOT, LocalAws, local_aws
from start_emulator import prepare, profiles

sys.path.append(str(ROOT / "tests" / "documents"))
import documents  # noqa: E402

PROGRAM = ROOT / "target" / "debug" / "s3-kms-replication"
# For the hidden set-up of pages whose commands need the deployed application: the pages themselves say how it is installed.
PRELUDE = """\
set -euo pipefail
deploy_application() {
  sam deploy --no-confirm-changeset --no-progressbar ${1:+--parameter-overrides "$@"} > /dev/null
}
"""
# How the program and the SAM CLI, Terraform, and the CDK CLI ask whether to go on.
QUESTIONS = (b"[y/N]", b"Enter a value:", b"(y/n)")


def script(page: Path, kinds: set[str]) -> str:
    """The blocks of a page as one script, which says where it is."""
    chosen = [block for block in documents.blocks(page) if block.kind in kinds and block.language in documents.SHELLS]
    if not any(block.kind != "setup" for block in chosen):
        return ""
    return PRELUDE + "".join(f"echo {shlex.quote(f'=== {block.place}')}\n{block.text}" for block in chosen)


def run_in_terminal(commands: str, environment: dict[str, str], seconds: float) -> tuple[int, str]:
    """How a script ends in a terminal whose user says yes to everything, and what it shows."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execvpe("bash", ["bash", "-c", commands], environment)
    shown, answered, deadline = b"", 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
        if (asked := sum(shown.count(question) for question in QUESTIONS)) > answered:
            answered = asked
            os.write(terminal, b"yes\n")
    else:
        os.killpg(child, signal.SIGKILL)
    # The terminal stays open until the shell has ended, or that would be a hang-up.
    status = os.waitpid(child, 0)[1]
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace").replace("\r\n", "\n")


def environment(aws: LocalAws, folder: Path) -> dict[str, str]:
    """A user's environment: the program is installed, and this machine has little else."""
    if not PROGRAM.exists():
        pytest.fail(f"`{PROGRAM}` is missing: `make test` builds it")
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / PROGRAM.name).symlink_to(PROGRAM)
    # Compilers find what they have in the user's own home, as anywhere else, or they would compile everything anew.
    places = {"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup", "XDG_CACHE_HOME": ".cache"}
    tools = {name: os.environ.get(name, str(Path.home() / place)) for name, place in places.items()}
    return {**aws.environment, **tools, "PATH": f"{folder / 'bin'}:{aws.environment['PATH']}", "HOME": str(folder),
            "AWS_CONFIG_FILE": profiles(aws), "CARGO_INSTALL_ROOT": str(folder), "TERM": "dumb", "NO_COLOR": "1"}


# The files that the documents' commands leave in the checkout.
WRITTEN = ["parameters.yaml", *(f"examples/terraform/{name}" for name in (
    ".terraform", ".terraform.lock.hcl", "terraform.tfstate", "terraform.tfstate.backup"))]


@pytest.fixture
def clean_checkout(tmp_path: Path) -> Iterator[None]:
    """The checkout without the files that the documents' commands write: what there was of them is put back."""
    kept = {ROOT / name: tmp_path / f"kept-{number}" for number, name in enumerate(WRITTEN)}
    for mine, place in kept.items():
        if mine.exists():
            mine.rename(place)
    yield
    for mine, place in kept.items():
        if mine.is_dir():
            shutil.rmtree(mine)
        mine.unlink(missing_ok=True)
        if place.exists():
            place.rename(mine)


@pytest.mark.usefixtures("clean_checkout")
@pytest.mark.parametrize("page", documents.files(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run_as_they_are_written(page: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    slow = request.config.getoption("--slow")
    commands = script(page, {"setup", "runnable", "slow"} if slow else {"setup", "runnable"})
    if not commands:
        pytest.skip("has no command to run here")
    if "sam deploy" in commands.removeprefix(PRELUDE) or "deploy_application" in commands.removeprefix(PRELUDE):
        request.getfixturevalue("built")
    variables = terraform.install(tmp_path) if "terraform " in commands else {}
    with local_aws() as aws:
        prepare(aws)
        code, shown = run_in_terminal(commands, environment(aws, tmp_path) | variables, 3600 if slow else 300)
    assert code == 0, shown


@pytest.fixture(scope="session")
def built() -> Iterator[None]:
    """What `sam deploy` deploys, which is the build for the emulator here: what `sam build` made is put back."""
    template = ROOT / ".aws-sam" / "build" / "template.yaml"
    earlier = template.read_text() if template.exists() else None
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text(BUILT_TEMPLATE.read_text().replace("CodeUri: function", f"CodeUri: {FUNCTION.parent}"))
    yield
    if earlier is None:
        template.unlink()
    else:
        template.write_text(earlier)


def test_make_emulator_prints_what_to_export_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    emulator = subprocess.Popen(["make", "--silent", "emulator"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        printed = ""
        while "export PATH" not in printed:
            assert (line := emulator.stdout.readline()), printed
            printed += line
        commands = "s3api list-buckets --query Buckets[].Name --output text"
        shown = subprocess.run(["bash", "-euc", f"{printed}\naws {commands}"], env={**os.environ, "AWS_PROFILE": "mine"},
                               capture_output=True, text=True, timeout=60)
        assert shown.stdout.split() == ["orders", "orders-replica"], shown.stderr
    finally:
        os.killpg(emulator.pid, signal.SIGINT)
        assert emulator.wait(timeout=30) != 0


def test_a_page_is_a_script_with_its_hidden_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of marks, on a page of each kind of block."""
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- setup\necho prepared\n-->\n\n<!-- runnable -->\n```sh\necho shown\n```\n\n"
                    "<!-- needs AWS -->\n```sh\necho never\n```\n\n<!-- slow -->\n```sh\necho seldom\n```\n\n```sh\necho unmarked\n```\n")
    echoed = [line for line in script(page, {"setup", "runnable"}).removeprefix(PRELUDE).splitlines() if "===" not in line]
    assert echoed == ["echo prepared", "echo shown"]
    problems = [problem for block in documents.blocks(page) for problem in documents.check_block(block)]
    assert problems == ["page.md:22: a shell block needs a mark: runnable, slow, run by or needs AWS"]
