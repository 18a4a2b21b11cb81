"""The steps of a run, in order: the application, one rule by each way of asking, the objects, Verify and Diagnose, and the job.

What takes out grants is in `grants.py`, and what measures in `measures.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grants
import measures
import objects
from account import Failed, none_if
from made import prefix
from run import LeftOut, Rule, Run

ROOT = Path(__file__).resolve().parents[2]
EVENT, EVENT_ABROAD, RESOURCE, COMMAND, TERRAFORM = "event", "event in the second Region", "custom resource", "command line", "Terraform's payload"
NO_TRAIL = "the account has no trail that is on in both Regions; `--trail` makes one"
# S3 Batch Operations: the states in which a job has ended.
ENDED = {"Cancelled", "Complete", "Failed"}


def run_all(run: Run) -> None:
    """Runs the steps. Without the application there is nothing to look at; every other failure leaves the next steps their work."""
    if run.step("deploy", deploy):
        for name, work in STEPS:
            run.step(name, work)


def deploy(run: Run) -> str:
    """Makes the keys, a bucket for the code and, if asked, a trail; deploys the application into both Regions."""
    for region in run.regions:
        run.keys[f"source {region}"] = run.made.key(region, f"source-{region}")
        run.keys[f"replica {region}"] = run.made.key(region, f"replica-{region}")
    if run.options.trail:
        run.made.trail(run.regions[0])
    for home, abroad in (run.regions, run.regions[::-1]):
        code = run.made.bucket(home, f"code-{home}")
        run.outputs[home] = run.made.application(home, application_template(run), code, parameters(run, home, abroad))
    return f"version {run.outputs[run.regions[0]]['Version']} in {' and '.join(run.regions)}"


def application_template(run: Run) -> Path:
    """`template.yaml` with the built function."""
    file = run.made.record.folder / "template.yaml"
    file.write_text((ROOT / "template.yaml").read_text().replace("CodeUri: .\n", f"CodeUri: {run.options.package.resolve()}\n"))
    return file


def parameters(run: Run, home: str, abroad: str) -> dict[str, str]:
    """All rights, but for buckets of this run only."""
    policy = {"Rules": [{
        "Name": "event", "Match": {"BucketNames": [run.made.name(f"event-{home}")]}, "DestinationBucket": "{bucket}-copy",
        "DestinationRegion": abroad, "CreateDestinationBucket": True, "DeleteMarkerReplication": True,
        "ReplicaKmsKeyArn": run.keys[f"replica {abroad}"]}]}
    return {"ReplicationPolicy": json.dumps(policy), "AllowedDestinations": f"{prefix(run.made.record.run)}-*", "RolePath": run.made.role_path,
            "AllowCreateDestinationBuckets": "true", "AllowVerify": "true", "AllowReplicateExistingObjects": "true", "AllowDiagnose": "true"}


def new_rule(run: Run, asked_by: str, part: str, home: str, abroad: str, rule_prefix: str = "") -> Rule:
    """Makes a source bucket, and notes what the application makes for it: the role, and the destination bucket."""
    source_key = run.keys[f"source {home}"]
    run.made.expect_role(run.made.name(part))
    destination = run.made.expect_bucket(abroad, f"{part}-copy")
    source = run.made.bucket(home, part, source_key)
    return Rule(asked_by, source, destination, home, abroad, source_key, run.keys[f"replica {abroad}"], rule_prefix)


def properties(rule: Rule) -> dict[str, Any]:
    """The properties of a rule, as every way of asking takes them."""
    given = {"SourceBucket": rule.source, "DestinationBucket": rule.destination, "DestinationRegion": rule.abroad,
             "CreateDestinationBucket": True, "ReplicaKmsKeyArn": rule.replica_key, "DeleteMarkerReplication": True}
    return given | ({"Prefix": rule.prefix} if rule.prefix else {})


def expect_written(run: Run, rule: Rule, seconds: float = 60) -> str:
    """Waits until S3 has a rule with the replica key, and adds the rule to those that the next steps look at. A bucket that became encrypted after
    its creation may have a rule without a key before."""
    s3 = run.account.client("s3", rule.home)

    def written() -> str | None:
        found = none_if({"ReplicationConfigurationNotFoundError"}, lambda: s3.get_bucket_replication(Bucket=rule.source))
        rules = found["ReplicationConfiguration"]["Rules"] if found else []
        keys = {each["ID"]: each["Destination"].get("EncryptionConfiguration", {}).get("ReplicaKmsKeyID") for each in rules}
        return next((name for name, key in keys.items() if key == rule.replica_key), None)

    name = run.account.wait(f"a rule of bucket `{rule.source}` with the replica key `{rule.replica_key}`", written, seconds)
    run.rules.append(rule)
    return f"rule `{name}` of bucket `{rule.source}`"


def by_event(asked_by: str, number: int) -> Callable[[Run], str]:
    """A bucket of the replication policy, in the Region of this number."""
    def step(run: Run) -> str:
        home, abroad = run.regions[number], run.regions[1 - number]
        if not run.account.is_emulator and not has_trail(run):
            raise LeftOut(NO_TRAIL)
        rule = new_rule(run, asked_by, f"event-{home}", home, abroad)
        return expect_written(run, rule, run.account.seconds(1800, 60))
    return step


def has_trail(run: Run) -> bool:
    """Whether a trail is on in both Regions."""
    def is_on(region: str) -> bool:
        client = run.account.client("cloudtrail", region)
        trails = client.describe_trails()["trailList"]
        return any(client.get_trail_status(Name=trail["TrailARN"])["IsLogging"] for trail in trails)
    return all(is_on(region) for region in run.regions)


def by_resource(run: Run) -> str:
    """A stack with a custom resource."""
    rule = new_rule(run, RESOURCE, "resource", *run.regions)
    token = run.outputs[rule.home]["ServiceToken"]
    stack = run.made.rule_stack(rule.home, "resource", {"ServiceToken": token, "ServiceTimeout": 300, **properties(rule)})
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise Failed(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason')}")
    return expect_written(run, rule)


def by_command_line(run: Run) -> str:
    """The command-line program, beside the function's leases."""
    rule = new_rule(run, COMMAND, "command", *run.regions)
    table = run.account.client("cloudformation").describe_stack_resource(
        StackName=run.made.application_stack(rule.home), LogicalResourceId="LockTable")["StackResourceDetail"]["PhysicalResourceId"]
    run.program("apply", "--yes", "--source-bucket", rule.source, "--destination-bucket", rule.destination, "--destination-region", rule.abroad,
                "--create-destination-bucket", "--delete-marker-replication", "--replica-kms-key-arn", rule.replica_key,
                "--role-path", run.made.role_path, "--lock-table", table)
    return expect_written(run, rule)


def by_terraform(run: Run) -> str:
    """What Terraform's provider sends for a creation, for an update, and for a deletion that is then created again."""
    rule = new_rule(run, TERRAFORM, "terraform", *run.regions, rule_prefix="in/")
    resource = properties(rule)
    before = None
    for action, given in (("create", {**resource, "Prefix": ""}), ("update", resource), ("delete", resource), ("create", resource)):
        status = run.invoke({**given, "tf": {"action": action, "prev_input": before}})["Status"]
        if status != ("Removed" if action == "delete" else "Configured"):
            raise Failed(f"{action} ended with `{status}`")
        before = given
    return expect_written(run, rule)


def verify(run: Run) -> str:
    """Verify of the function, again while it is pending, and of the program."""
    asked, typed = run.rule(TERRAFORM), run.rule(COMMAND)

    def verified() -> str | None:
        status = run.invoke({"Action": "Verify", "SourceBucket": asked.source, "DestinationBucket": asked.destination})["Status"]
        return status if status == "Verified" else None

    run.account.wait("`Verified` of the function", verified, 1800)
    answer = run.program("verify", "--source-bucket", typed.source, "--destination-bucket", typed.destination, "--role-path", run.made.role_path)
    if answer["Status"] != "Verified":
        raise Failed(f"the program's answer is `{answer['Status']}`")
    return "`Verified` by the function and by the program"


def diagnose(run: Run) -> str:
    """Diagnose of every rule, by the function and by the program."""
    verdicts = {}
    for rule in run.rules:
        answers = [run.invoke({"Action": "Diagnose", "SourceBucket": rule.source})] if rule.home == run.regions[0] else []
        answers.append(run.program("diagnose", "--source-bucket", rule.source, allowed=(0, 4, 5)))
        verdicts[rule.source] = {answer.get("Verdict", "no rule") for answer in answers}
    if wrong := [bucket for bucket, found in verdicts.items() if found != {"Works"}]:
        raise Failed("; ".join(f"bucket `{bucket}`: {', '.join(sorted(verdicts[bucket]))}" for bucket in wrong))
    return f"`Works` for {len(verdicts)} buckets, by the function and by the program"


def existing_objects(run: Run) -> str:
    """An object that is older than its rule, and the job that replicates it."""
    reports = run.made.bucket(run.regions[0], "reports")
    rule = new_rule(run, "a job", "existing", *run.regions)
    older = objects.put(run, rule, "older")
    answer = run.invoke({"Action": "Apply", **properties(rule), "ReplicateExistingObjects": True, "ReportBucket": reports})
    run.made.note_job(answer["JobId"])
    control = run.account.client("s3control")

    def ended() -> str | None:
        status = control.describe_job(AccountId=run.account.id, JobId=answer["JobId"])["Job"]["Status"]
        return status if status in ENDED else None

    status = run.account.wait("the end of the job", ended, run.account.seconds(7200, 60))
    if status != "Complete":
        raise Failed(f"the job is {status}")
    objects.expect_replica(run, rule, older)
    return "the job is Complete, and the object is replicated"


STEPS: list[tuple[str, Callable[[Run], str]]] = [
    (EVENT, by_event(EVENT, 0)),
    (EVENT_ABROAD, by_event(EVENT_ABROAD, 1)),
    (RESOURCE, by_resource),
    (COMMAND, by_command_line),
    (TERRAFORM, by_terraform),
    ("objects", objects.step),
    ("verify", verify),
    ("diagnose", diagnose),
    ("existing objects", existing_objects),
    ("grants", grants.step),
    ("cold start, duration, memory", measures.step),
    ("calls", measures.calls),
]
