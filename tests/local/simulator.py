"""Evaluates IAM policy documents without AWS, with the simulator that `simulate.mjs` wraps.

The simulator knows the resource types and condition keys of every action, and rejects calls that AWS does not have. It silently
drops the condition keys `kms:EncryptionContext:…`, so policies and calls use `aws:PrincipalTag/…` in their place.

Resource policies, which AWS evaluates too, allow everything to the caller's account here, as the default key policy does. They
are never the reason for a denial, in other accounts either.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from local_aws import ROOT, Failed

SIMULATE = Path(__file__).with_name("simulate.mjs")
ENCRYPTION_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
STAND_IN = "aws:PrincipalTag/kms-encryption-context-aws-s3-arn"


@dataclass(frozen=True)
class Call:
    """One call to evaluate; its `${…}` placeholders are substituted before the evaluation."""

    action: str
    resource: str
    context: dict[str, str | list[str]] = field(default_factory=dict)
    account: str = "${account}"


def substituted(value: Any, names: dict[str, str]) -> Any:
    """JSON with its `${…}` placeholders substituted."""
    return json.loads(Template(json.dumps(value)).substitute(names))


def decisions(documents: list[dict[str, Any]], calls: list[Call], names: dict[str, str]) -> list[list[bool]]:
    """For each document: whether a role of `${account}` with that policy may make each of the calls."""
    role = f"arn:aws:iam::{names['account']}:role/evaluated"
    requests = [request(role, substituted(call.__dict__, names)) for call in calls]
    account = allow_everything(f"arn:aws:iam::{names['account']}:root")
    allowed = simulate([
        {"request": each, "identityPolicies": [{"name": "evaluated", "policy": document}], "resourcePolicy": account}
        for document in documents for each in requests])
    return [allowed[start:start + len(calls)] for start in range(0, len(allowed), len(calls))]


def may_assume(trust: dict[str, Any], principals: list[str], account: str) -> list[bool]:
    """Whether each of the principals may assume a role with this trust policy, given that their own policies allow it."""
    call = {"action": "sts:AssumeRole", "resource": f"arn:aws:iam::{account}:role/evaluated", "context": {}, "account": account}
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    return simulate([{
        "request": request(principal, call),
        "identityPolicies": [{"name": "everything", "policy": everything}] if principal.startswith("arn:") else [],
        "resourcePolicy": trust,
    } for principal in principals])


def request(principal: str, call: dict[str, Any]) -> dict[str, Any]:
    return {"principal": principal, "action": call["action"], "contextVariables": call["context"],
            "resource": {"resource": call["resource"], "accountId": call["account"]}}


def allow_everything(principal: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "*", "Resource": "*"}]}


def simulate(simulations: list[dict[str, Any]]) -> list[bool]:
    """Whether each call is allowed; raises if the simulator ignored a part of its input."""
    found = answers(simulations)
    for simulation, answer in zip(simulations, found, strict=True):
        if answer.get("ignored") != []:
            raise Failed(f"the simulator cannot evaluate {simulation['request']}: {answer}")
    return [answer["decision"] == "Allowed" for answer in found]


def answers(simulations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The simulator's answers, with the keys that it ignored, and `errors` where a call or a policy is not one that AWS has."""
    inputs = [{"serviceControlPolicies": [], "resourceControlPolicies": [], **simulation} for simulation in simulations]
    sent = json.dumps(inputs).replace(ENCRYPTION_CONTEXT, STAND_IN)
    done = subprocess.run(["node", str(SIMULATE)], cwd=ROOT, input=sent, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return json.loads(done.stdout)
