"""`make acceptance`: tries the application on a real AWS account, reports what it saw, and removes all that it made.

It is for a person with an account to test in, and no part of CI. With AWS_ENDPOINT_URL it runs on an emulator, and says what it cannot
look at there.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from account import Account, Failed
from botocore.exceptions import BotoCoreError, ClientError
from interrupts import Interrupts
from made import Made, prefix
from record import RUNS, Record
from removal import Removal
from report import report
from run import FAILED, Options, Run
from steps import run_all

ROOT = Path(__file__).resolve().parents[2]
# Exit codes, beside 0.
FAILURE, USAGE, INTERRUPTED = 1, 2, 130
NOTICE = """\
Run {run} makes this in account {account}, in {first} and {second}:
  - the application in both Regions (stacks {prefix}-app-<Region>, with alarms, queues, a table and a dashboard), and a stack
    with one rule
  - 4 KMS keys, about 16 buckets whose names begin with {prefix}, a role for each source bucket, some dozen small objects
  - one S3 Batch Replication job{trail}
It takes two to four hours on AWS, most of it waiting, and costs less than one US dollar: the job costs 0.25 dollars, keys and alarms
are paid by the hour, the rest is requests. It removes all of it at the end, also after Ctrl-C: keys are scheduled for deletion in seven
days, in which AWS charges nothing, and the job stays listed for 90 days. What was made is noted in {file}."""

TRAIL = "\n  - a trail of all Regions, with its bucket; a second trail of an account costs 2 dollars per 100,000 events"


def main() -> int:
    arguments = parse()
    try:
        return accept(arguments) if arguments.clean is None else clean(arguments.clean)
    except (Failed, FileNotFoundError, ValueError, ClientError, BotoCoreError) as failure:
        print(f"acceptance: {failure}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--regions", nargs=2, default=["us-east-1", "us-west-2"], metavar="REGION", help="two Regions (us-east-1 us-west-2)")
    parser.add_argument("--package", type=Path, default=ROOT / "target" / "lambda" / "function" / "bootstrap.zip", help="the built function")
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "debug" / "s3-kms-replication", help="the command-line program")
    parser.add_argument("--trail", action="store_true", help="also make a trail of CloudTrail, without which no event arrives")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--clean", metavar="RUN", help="remove what remains of this run, and do nothing else")
    return parser.parse_args()


def accept(arguments: argparse.Namespace) -> int:
    """A whole run: asks, makes, looks, removes, and writes the report."""
    account = Account(tuple(arguments.regions))
    check(account, arguments)
    run_id = secrets.token_hex(4)
    if not consent(account, run_id, arguments):
        return USAGE
    interrupts = Interrupts(still_removing(run_id))
    record = Record.start(run_id, {"account": account.id, "regions": account.regions})
    run = Run(account, Made(account, record, interrupts), Options(arguments.package, arguments.program, arguments.trail), say)
    interrupted = False
    try:
        run_all(run)
    except KeyboardInterrupt:
        say("interrupted")
        interrupted = True
    finally:
        interrupts.begin_removal()
        file = record.folder / "report.md"
        file.write_text(report(run))
        is_removed = remove(account, record)
    say(f"report: {file}")
    if interrupted:
        return INTERRUPTED
    return FAILURE if not is_removed or any(result.status == FAILED for result in run.results) else 0


def check(account: Account, arguments: argparse.Namespace) -> None:
    """Refuses what would fail later, or touch another deployment."""
    if account.regions[0] == account.regions[1]:
        raise Failed("the two Regions must differ")
    for what, file in (("the function", arguments.package), ("the program", arguments.program)):
        if not file.exists():
            raise Failed(f"{what} is missing: `{file}` does not exist; `make acceptance` builds it")
    for region in account.regions:
        exports = account.client("cloudformation", region).get_paginator("list_exports").paginate()
        if found := [each["Name"] for page in exports for each in page["Exports"] if each["Name"].endswith("-ServiceToken")]:
            raise Failed(f"the application seems to be deployed in {region} already (export `{found[0]}`), and it must not be twice in one Region")


def consent(account: Account, run_id: str, arguments: argparse.Namespace) -> bool:
    """Says what is made and what it costs, and asks."""
    trail = TRAIL if arguments.trail else ""
    print(NOTICE.format(run=run_id, account=account.id, first=account.regions[0], second=account.regions[1], prefix=prefix(run_id), trail=trail,
                        file=RUNS / run_id))
    if arguments.yes:
        return True
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def still_removing(run_id: str) -> str:
    """The answer to Ctrl-C during the removal."""
    return f"still removing what the run made; another Ctrl-C ends this, and then {again(run_id)} removes the rest"


def again(run_id: str) -> str:
    """The command that removes what remains."""
    return f"`make acceptance-clean RUN={run_id}`"


def remove(account: Account, record: Record) -> bool:
    """Removes what the run made; whether all of it is gone."""
    try:
        failures = Removal(account, record).run(say)
    except KeyboardInterrupt:
        print(f"not everything was removed: {again(record.run)} removes the rest", file=sys.stderr)
        raise
    for failure in failures:
        print(f"not removed: {failure}", file=sys.stderr)
    if failures:
        print(f"{again(record.run)} tries again", file=sys.stderr)
    return not failures


def clean(run_id: str) -> int:
    """Removes what remains of an earlier run."""
    record = Record(run_id)
    account = Account(tuple(record.facts()["regions"]))
    Interrupts(still_removing(run_id)).begin_removal()
    is_removed = remove(account, record)
    if is_removed:
        say(f"nothing remains of run {run_id}")
    return 0 if is_removed else FAILURE


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
