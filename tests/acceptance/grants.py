"""Takes one grant at a time out of a replication role, and holds what Diagnose says against what S3 does."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import objects
from account import Failed
from run import Rule, Run

# AWS names no time. Two minutes are what this project and Terraform's provider wait for a role to be known.
PROPAGATION = 120
# An object that is still pending then counts as not replicated.
PATIENCE = 900
DELETE = "s3:ReplicateDelete"


def step(run: Run) -> str:
    """Each action of each statement of the rule's inline policy is missing once. At the end the policy is as it was."""
    rule = run.rule("command line")
    s3_decides = run.needs_aws("grants: what S3 does without each grant, since the emulator replicates whatever the role may do")
    iam, role, policy = run.account.client("iam"), f"s3-crr-{rule.source}", f"s3-kms-replication.{rule.destination}"
    whole = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]

    def put(document: dict[str, Any]) -> None:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

    try:
        for number, (sid, action, document) in enumerate(without_each_action(whole)):
            run.say(f"     without {action} of {sid}")
            put(document)
            time.sleep(run.account.seconds(PROPAGATION, 0))
            verdict = run.program("diagnose", "--source-bucket", rule.source, "--sample", "0", allowed=(0, 4, 5))["Verdict"]
            outcome = what_s3_does(run, rule, action, number) if s3_decides else "not looked at"
            run.grants.append({"statement": sid, "action": action, "diagnose": verdict, "s3": outcome, "agree": agreement(verdict, outcome)})
    finally:
        put(whole)
    return judged(run)


def without_each_action(policy: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The policy without one action at a time; the statement's `Sid` and the action with it."""
    for index, statement in enumerate(policy["Statement"]):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for action in actions:
            document = copy.deepcopy(policy)
            document["Statement"][index]["Action"] = [other for other in actions if other != action]
            if not document["Statement"][index]["Action"]:
                del document["Statement"][index]
            yield statement["Sid"], action, document


def what_s3_does(run: Run, rule: Rule, action: str, number: int) -> str:
    """Whether S3 replicates without the action: a tagged object with an annotation, or for `s3:ReplicateDelete` its deletion."""
    if action == DELETE:
        key = objects.put(run, rule, f"deleted-{number}")
        objects.expect_replica(run, rule, key)
        run.account.client("s3", rule.home).delete_object(Bucket=rule.source, Key=key)
        return decided(run, f"the deletion of `{key}`", lambda: "COMPLETED" if objects.is_deleted(run, rule, key) else None)
    key = objects.put(run, rule, f"without-{number}", Tagging="project=x")
    objects.annotate(run, rule, key)
    return decided(run, f"the replication of `{key}`", lambda: objects.status(run, rule, key) or None)


def decided(run: Run, what: str, status: Callable[[], str | None]) -> str:
    """What S3 has decided."""
    try:
        return run.account.wait(what, status, PATIENCE)
    except Failed:
        return "PENDING"


def agreement(verdict: str, outcome: str) -> str:
    """Diagnose and S3 agree when both say that it fails, or neither does."""
    if outcome == "not looked at" or verdict == "Unknown":
        return "not known"
    return "yes" if (verdict == "Fails") == (outcome != "COMPLETED") else "no"


def judged(run: Run) -> str:
    """What the step says; a difference is a failure."""
    if differing := [grant for grant in run.grants if grant["agree"] == "no"]:
        raise Failed("Diagnose and S3 differ: " + "; ".join(
            f"without {grant['action']} of {grant['statement']} Diagnose says {grant['diagnose']} and S3 {grant['s3']}" for grant in differing))
    fails = sum(grant["diagnose"] == "Fails" for grant in run.grants)
    return f"Diagnose says `Fails` without {fails} of {len(run.grants)} grants"
