"""Every policy of this repository, each with calls that try its statements."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from string import Template
from typing import Any

import yaml
from local_aws import ACCOUNT, ROOT

Policy = dict[str, Any]

ROLE = f"arn:aws:iam::{ACCOUNT}:role/replication"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/replication/s3-replication"
NAMES = {"account": ACCOUNT, "src_bkt": "source", "dest_bkt": "destination", "src_kms_region": "us-east-1", "dest_kms_region": "us-west-2",
         "src_kms_arn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/source", "dest_kms_arn": f"arn:aws:kms:us-west-2:{ACCOUNT}:key/replica"}
# An action for each pattern of actions.
ACTIONS = {"*": "s3:GetObject", "kms:*": "kms:Decrypt", "s3:*": "s3:GetObject", "s3:Get*": "s3:GetObjectVersionForReplication",
           "kms:GenerateDataKey*": "kms:GenerateDataKey", "kms:ReEncrypt*": "kms:ReEncryptFrom"}


class Cloudformation(yaml.SafeLoader):
    """Reads a template in which every condition holds."""


def tagged(loader: Cloudformation, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
        return value[1] if suffix == "If" else value
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    value = loader.construct_scalar(node)
    if suffix == "Ref":
        return {"AWS::AccountId": ACCOUNT, "AWS::NoValue": None}.get(value, named_resource(value))
    if suffix == "GetAtt":
        return named_resource(value.removesuffix(".Arn"))
    values = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": "us-east-1", "AWS::URLSuffix": "amazonaws.com", "RolePath": "/path/"}
    return re.sub(r"\$\{([A-Za-z:.]+)\}", lambda found: values.get(found[1], f"/{found[1]}"), value)


def named_resource(name: str) -> str:
    """What stands for a resource or a parameter of a template."""
    services = {"Queue": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", "Table": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}",
                "LogGroup": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}:*", "RoleArns": ROLE, "Role": ROLE,
                "Rule": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{name}", "Key": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{name}",
                "Function": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}", "Walk": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{name}"}
    return next((arn for suffix, arn in services.items() if name.endswith(suffix)), name)


Cloudformation.add_multi_constructor("!", tagged)


def documents(value: Any) -> Iterator[Policy]:
    """Each policy document in a template's or a file's value, without the statements and values that a condition leaves out."""
    if isinstance(value, dict) and "Statement" in value:
        yield without_absent(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from documents(item)


def without_absent(value: Any) -> Any:
    if isinstance(value, list):
        return [without_absent(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {key: without_absent(item) for key, item in value.items() if item is not None}
    return value


def policies() -> dict[str, Policy]:
    """Every policy of the repository, by file and number."""
    files: dict[str, Any] = {}
    for file in (ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*.yaml"))):
        files[file.name] = yaml.load(file.read_text(), Cloudformation)
    for file in sorted((ROOT / "src" / "iam_policy" / "snapshots").glob("*.snap")):
        files[file.name] = json.loads(file.read_text().split("---\n", 2)[2])
    for file in (*sorted((ROOT / "tests" / "local" / "walkthroughs").glob("*.json")), *sorted((ROOT / "tests" / "peers").glob("*.json"))):
        files[file.name] = json.loads(Template(file.read_text()).substitute(NAMES))
    return {f"{name} {number}": policy for name, value in files.items() for number, policy in enumerate(documents(value))}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def policy_cases() -> list[dict[str, Any]]:
    """Calls that each statement of each policy allows or denies, and calls that miss it by one condition, resource or action."""
    return [{"name": name, **case} for name, policy in policies().items()
            for statement in listed(policy["Statement"]) for case in statement_cases(policy, statement)]


def statement_cases(policy: Policy, statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    actions = {ACTIONS.get(action, action) for action in listed(statement["Action"])} | {"s3:ReplicateObject", "kms:Encrypt"}
    resources = [tried for resource in listed(statement.get("Resource", ROLE))
                 for tried in (ANY_RESOURCE if resource == "*" else [resource.replace("*", "x")])]
    resources += [f"{resource}-other" for resource in resources] + [f"{resource}/key" for resource in resources]
    for action, resource, context in itertools.product(sorted(actions), resources, contexts(statement)):
        case = {"action": action, "resource": resource, "account": ACCOUNT, "context": context}
        if "Principal" in statement:
            yield from ({**case, "principal": principal, "identity": [] if principal.endswith(".com") else [ALLOW_ALL], "resource_policy": policy}
                        for principal in callers(statement["Principal"]))
        else:
            needs_policy = action.startswith(("kms:", "sts:"))
            yield {**case, "principal": SESSION, "identity": [policy], "resource_policy": OWN_ACCOUNT if needs_policy else None}


# The keys that every call has.
CALLER = {"aws:PrincipalArn": ROLE, "aws:PrincipalAccount": ACCOUNT, "aws:PrincipalIsAWSService": "false", "aws:ResourceAccount": ACCOUNT}
ANY_RESOURCE = ["*", "arn:aws:s3:::source", NAMES["src_kms_arn"]]
ALLOW_ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
OWN_ACCOUNT = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "*", "Resource": "*"}}


def callers(principal: Any) -> list[str]:
    services = listed(principal.get("Service", [])) if isinstance(principal, dict) else []
    return [SESSION, *services, "ec2.amazonaws.com"]


def contexts(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A context that meets every condition; for each key, one without it and one with another value; and one with the caller's keys only."""
    met: dict[str, Any] = dict(CALLER)
    for keys in statement.get("Condition", {}).values():
        for key, values in keys.items():
            met[key] = re.sub(r"\$\{([*?$])\}", r"\1", re.sub(r"\*", "x", str(listed(values)[0])))
    yield met
    yield CALLER
    for key in met:
        yield {**met, key: "another"}
        if key not in CALLER:
            yield {other: value for other, value in met.items() if other != key}
