"""The policy of the function's role allows exactly what the function needs.

The emulator does not enforce all of the policy, for example not `iam:PassRole`, so the simulator evaluates it. The policy is read as
deployed, with every intrinsic function resolved, in three variants: the template's defaults; every optional right allowed; and a
permissions boundary with a role path of the user's own, and a role in every account of an organisation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from conftest import OWNER_TAG, ROLE_PATH, Application
from local_aws import BUILT_TEMPLATE, DESTINATION_ACCOUNT, REGION, ROOT, LocalAws
from simulator import Call, decisions

TEMPLATE = (ROOT / "template.yaml").read_text()
ANOTHER_ACCOUNT = "777788889999"
FOREIGN_ACCOUNT = "999999999999"

ROLE = "arn:aws:iam::${account}:role"
OWN, EXTENDABLE = ROLE + "${path}s3-crr-orders", "${extendable}"
# Foreign roles: at the root, under another path, with similar paths and names, the function's own, and in another account.
OTHERS = (f"{ROLE}/s3-crr-orders", ROLE + "/team${path}s3-crr-orders", f"{ROLE}/s3-kms-replication-of-others/s3-crr-orders",
          "${extendable}-2", "${execution_role}", f"arn:aws:iam::{FOREIGN_ACCOUNT}:role${{path}}s3-crr-orders")
OURS = {f"aws:ResourceTag/{OWNER_TAG}": "orders"}
TAGGED = {f"aws:RequestTag/{OWNER_TAG}": "orders", "aws:TagKeys": [OWNER_TAG]}
TAGGED_WITH_MORE = {**TAGGED, "aws:RequestTag/more": "x", "aws:TagKeys": [OWNER_TAG, "more"]}
BOUNDARY, OTHER_BOUNDARY = ({"iam:PermissionsBoundary": arn} for arn in ("${boundary}", "${boundary}-2"))
TO_S3, TO_LAMBDA = ({"iam:PassedToService": f"{service}.amazonaws.com"} for service in ("s3", "lambda"))
TO_JOBS = {"iam:PassedToService": "batchoperations.s3.amazonaws.com"}
JOB, JOB_TAG = "arn:aws:s3:eu-west-1:${account}:job/1", f"{OWNER_TAG}-job.0123456789abcdef"
KEEP_TAG = f"{OWNER_TAG}-keep-until"
BUCKET = "arn:aws:s3:::orders"
IN_ACCOUNT, IN_FOREIGN_ACCOUNT = ({"aws:ResourceAccount": account} for account in ("${account}", FOREIGN_ACCOUNT))
READ_ROLE = ("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies")
USE_BUCKET = ("s3:ListBucket", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketPublicAccessBlock", "s3:GetBucketTagging",
              "s3:GetBucketVersioning",
              "s3:GetEncryptionConfiguration", "s3:GetReplicationConfiguration", "s3:PutBucketVersioning",
              "s3:PutReplicationConfiguration")
READ_DESTINATION = ("s3:ListBucket", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning")
IN_DESTINATION_ACCOUNT = {"aws:ResourceAccount": DESTINATION_ACCOUNT}
ORGANIZATION = "o-a1b2c3d4e5"
IN_ORGANIZATION, IN_ANOTHER_ORGANIZATION = ({"aws:ResourceOrgID": organization} for organization in (ORGANIZATION, "o-zzzzzzzzzz"))
SET_UP_BUCKET = ("s3:PutBucketPublicAccessBlock", "s3:PutEncryptionConfiguration")
CANARY = f"{BUCKET}/Tax.s3-kms-replication-verify/s3-kms-replication.dr"
USE_CANARY = ("s3:PutObject", "s3:PutObjectTagging", "s3:GetObjectVersion", "s3:DeleteObjectVersion")
UNDER_CANARY, UNDER_NOTHING = ({"s3:prefix": prefix} for prefix in ("Tax.s3-kms-replication-verify/s3-kms-replication.dr", ""))
VIA_S3, VIA_LAMBDA = ({"kms:ViaService": f"{service}.us-east-1.amazonaws.com"} for service in ("s3", "lambda"))
KEY = "arn:aws:kms:us-east-1:${account}:key/1"
USE_KEY = ("kms:GenerateDataKey", "kms:Decrypt")
ALARM = "arn:aws:cloudwatch:eu-west-1:${account}:alarm"
CHANGE_ALARM = ("cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm")
DIAGNOSE_BUCKET = ("s3:GetBucketOwnershipControls", "s3:GetBucketPolicy")
DIAGNOSE_POLICY = ("iam:GetPolicy", "iam:GetPolicyVersion")
DIAGNOSE_KEY = ("kms:GetKeyPolicy", "kms:ListGrants")
LEASE = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")


def on(resource: str, *actions: str, account: str = "${account}", **context: Any) -> list[Call]:
    return [Call(action, resource, context, account) for action in actions]


def keys(account: str, *actions: str) -> list[Call]:
    arns = [f"arn:aws:kms:{region}:{account}:key/1" for region in ("us-east-1", "eu-west-1")]
    return [call for arn in arns for call in on(arn, *actions, account=account)]


def roles(arns: tuple[str, ...], *actions: str, **context: Any) -> list[Call]:
    owners = [(arn, FOREIGN_ACCOUNT if FOREIGN_ACCOUNT in arn else "${account}") for arn in arns]
    return [call for arn, owner in owners for call in on(arn, *actions, account=owner, **context)]


# What is attempted; whether all (`yes`) or none (`no`) of the calls are allowed in the three variants; and the calls.
TABLE = [
    ("create a role of its own", "yes yes no", on(OWN, "iam:CreateRole", **TAGGED)),
    ("... with the boundary", "yes yes yes", [*on(OWN, "iam:CreateRole", **TAGGED, **BOUNDARY), *on(OWN, "iam:TagRole", **TAGGED)]),
    ("... with another boundary", "yes yes no", on(OWN, "iam:CreateRole", **TAGGED, **OTHER_BOUNDARY)),
    ("... without its tag, or with more", "no no no",
     [*on(OWN, "iam:CreateRole", **BOUNDARY), *on(OWN, "iam:CreateRole", "iam:TagRole", **TAGGED_WITH_MORE), *on(OWN, "iam:TagRole")]),
    ("give a role of its own the boundary", "no no yes", on(OWN, "iam:PutRolePermissionsBoundary", **OURS, **BOUNDARY)),
    ("... another boundary", "no no no", on(OWN, "iam:PutRolePermissionsBoundary", **OURS, **OTHER_BOUNDARY)),
    ("... none", "no no no", on(OWN, "iam:DeleteRolePermissionsBoundary", **OURS)),
    ("change and delete roles of its own", "yes yes yes",
     [*on(OWN, "iam:PutRolePolicy", **OURS, **BOUNDARY),
      *on(OWN, "iam:DeleteRolePolicy", "iam:DeleteRole", "iam:UpdateAssumeRolePolicy", **OURS)]),
    ("... grant to those without the boundary", "yes yes no", on(OWN, "iam:PutRolePolicy", **OURS)),
    ("... to those with another", "yes yes no", on(OWN, "iam:PutRolePolicy", **OURS, **OTHER_BOUNDARY)),
    ("change or delete a role there without its tag", "no no no",
     [*on(OWN, "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary", **BOUNDARY),
      *on(OWN, "iam:DeleteRolePolicy", "iam:DeleteRole", "iam:UpdateAssumeRolePolicy")]),
    ("pass them to S3", "yes yes yes", on(OWN, "iam:PassRole", **TO_S3)),
    ("... to another service", "no no no", on(OWN, "iam:PassRole", **TO_LAMBDA)),
    ("... without a service in the request", "no no no", on(OWN, "iam:PassRole")),
    ("assume them", "no no no", on(OWN, "sts:AssumeRole", "sts:TagSession")),

    ("extend an extendable role", "no yes no", on(EXTENDABLE, "iam:PutRolePolicy", "iam:DeleteRolePolicy")),
    ("... pass it to S3", "no yes no", on(EXTENDABLE, "iam:PassRole", **TO_S3)),
    ("... pass it elsewhere", "no no no", [*on(EXTENDABLE, "iam:PassRole", **TO_LAMBDA), *on(EXTENDABLE, "iam:PassRole")]),
    ("... do anything else with it", "no no no",
     on(EXTENDABLE, "iam:CreateRole", "iam:DeleteRole", "iam:TagRole", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole", **OURS)),

    ("read any role of the account", "yes yes yes", roles((OWN, EXTENDABLE, *OTHERS[:-1]), *READ_ROLE)),
    ("read a role of another account", "no no no", roles(OTHERS[-1:], *READ_ROLE)),
    ("create others", "no no no", roles(OTHERS, "iam:CreateRole", **TAGGED, **BOUNDARY)),
    ("change or delete others", "no no no",
     roles(OTHERS, "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole", "iam:UpdateAssumeRolePolicy", **OURS)),
    ("tag others as its own", "no no no", roles(OTHERS, "iam:TagRole", **TAGGED)),
    ("pass others to S3", "no no no", roles(OTHERS, "iam:PassRole", **TO_S3)),
    ("attach managed policies", "no no no", roles((OWN, EXTENDABLE, *OTHERS), "iam:AttachRolePolicy", **OURS, **BOUNDARY)),
    ("make users, keys and policies", "no no no",
     [*on("arn:aws:iam::${account}:user/any", "iam:CreateUser", "iam:CreateAccessKey", "iam:PutUserPolicy"),
      *on("arn:aws:iam::${account}:policy/any", "iam:CreatePolicy", "iam:CreatePolicyVersion")]),

    ("read and replicate buckets of the account", "yes yes yes", on(BUCKET, *USE_BUCKET, **IN_ACCOUNT)),
    ("... of an account that allows everyone", "no no no",
     on(BUCKET, *USE_BUCKET, *SET_UP_BUCKET, account=FOREIGN_ACCOUNT, **IN_FOREIGN_ACCOUNT)),
    ("create a destination bucket", "no yes no", on(BUCKET, "s3:CreateBucket", "s3:TagResource", **TAGGED)),
    ("... without its tag, or with more", "no no no",
     [*on(BUCKET, "s3:CreateBucket"), *on(BUCKET, "s3:CreateBucket", "s3:TagResource", **TAGGED_WITH_MORE)]),
    ("encrypt and close it", "no yes no", on(BUCKET, *SET_UP_BUCKET, **IN_ACCOUNT)),
    ("open, empty or delete a bucket", "no no no",
     on(BUCKET, "s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutLifecycleConfiguration",
        "s3:PutBucketObjectLockConfiguration", **IN_ACCOUNT)),
    ("read the replication status of an object", "no yes no", on(f"{BUCKET}/2026.pdf", "s3:GetObjectVersion", **IN_ACCOUNT)),
    ("... of a foreign account's", "no no no",
     on(f"{BUCKET}/2026.pdf", "s3:GetObjectVersion", account=FOREIGN_ACCOUNT, **IN_FOREIGN_ACCOUNT)),
    ("read or write an object", "no no no",
     on(f"{BUCKET}/2026.pdf", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion",
        "s3:ReplicateObject", **IN_ACCOUNT)),

    ("describe keys of the account", "yes yes yes", keys("${account}", "kms:DescribeKey")),
    ("... of another account", "no no no", keys(FOREIGN_ACCOUNT, "kms:DescribeKey")),
    ("use or change a key", "no no no",
     keys("${account}", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:PutKeyPolicy",
          "kms:DisableKey", "kms:ScheduleKeyDeletion")),

    ("write, read and remove a canary", "no yes no", on(CANARY, *USE_CANARY, **IN_ACCOUNT)),
    ("... in a foreign account's bucket", "no no no", on(CANARY, *USE_CANARY, account=FOREIGN_ACCOUNT, **IN_FOREIGN_ACCOUNT)),
    ("... change its other attributes", "no no no", on(CANARY, "s3:PutObjectAcl", "s3:PutObjectRetention", **IN_ACCOUNT)),
    ("list a canary's versions", "no yes no", on(BUCKET, "s3:ListBucketVersions", **IN_ACCOUNT, **UNDER_CANARY)),
    ("... and others", "no yes no",
     [*on(BUCKET, "s3:ListBucketVersions", **IN_ACCOUNT, **UNDER_NOTHING), *on(BUCKET, "s3:ListBucketVersions", **IN_ACCOUNT)]),
    ("... of a foreign account's bucket", "no no no",
     on(BUCKET, "s3:ListBucketVersions", account=FOREIGN_ACCOUNT, **IN_FOREIGN_ACCOUNT)),
    ("have S3 encrypt it", "no yes no", on(KEY, *USE_KEY, **VIA_S3)),
    ("... or another service", "no no no", on(KEY, *USE_KEY, **VIA_LAMBDA)),

    ("assume a role of a destination's account", "no yes no",
     on(f"arn:aws:iam::{DESTINATION_ACCOUNT}:role/setup", "sts:AssumeRole", account=DESTINATION_ACCOUNT)),
    ("... of any other account", "no no no", on(f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/setup", "sts:AssumeRole", account=FOREIGN_ACCOUNT)),
    ("assume the organisation's role", "no no yes",
     on(f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/platform/setup", "sts:AssumeRole", account=FOREIGN_ACCOUNT, **IN_ORGANIZATION)),
    ("... of another organisation, or of none", "no no no",
     [*on(f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/platform/setup", "sts:AssumeRole", account=FOREIGN_ACCOUNT, **IN_ANOTHER_ORGANIZATION),
      *on(f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/platform/setup", "sts:AssumeRole", account=FOREIGN_ACCOUNT)]),
    ("... any other role of the organisation", "no no no",
     on(f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/setup", "sts:AssumeRole", account=FOREIGN_ACCOUNT, **IN_ORGANIZATION)),
    ("read a destination's bucket and key", "no yes no", [
        *on(BUCKET, *READ_DESTINATION, account=DESTINATION_ACCOUNT, **IN_DESTINATION_ACCOUNT),
        *on(f"arn:aws:kms:us-east-1:{DESTINATION_ACCOUNT}:key/1", "kms:DescribeKey", account=DESTINATION_ACCOUNT, **IN_DESTINATION_ACCOUNT)]),
    ("... change or use them", "no no no", [
        *on(BUCKET, "s3:PutBucketVersioning", "s3:PutBucketPolicy", *SET_UP_BUCKET, account=DESTINATION_ACCOUNT, **IN_DESTINATION_ACCOUNT),
        *on(f"arn:aws:kms:us-east-1:{DESTINATION_ACCOUNT}:key/1", "kms:PutKeyPolicy", *USE_KEY, account=DESTINATION_ACCOUNT,
            **IN_DESTINATION_ACCOUNT)]),

    ("start a job as a role of its own", "no yes no", [*on("*", "s3:CreateJob"), *on(OWN, "iam:PassRole", **TO_JOBS)]),
    ("... as another role", "no no no", roles((EXTENDABLE, *OTHERS), "iam:PassRole", **TO_JOBS)),
    ("describe and cancel a job", "no yes no", on(JOB, "s3:DescribeJob", "s3:UpdateJobStatus")),
    ("... of a foreign account", "no no no",
     on(JOB.replace("${account}", FOREIGN_ACCOUNT), "s3:DescribeJob", "s3:UpdateJobStatus", account=FOREIGN_ACCOUNT)),
    ("... do anything else with it", "no no no", on(JOB, "s3:UpdateJobPriority", "s3:PutJobTagging", "s3:DeleteJobTagging")),
    ("tag a role of its own with a job", "no yes no",
     [*on(OWN, "iam:TagRole", **OURS, **{"aws:TagKeys": [JOB_TAG], f"aws:RequestTag/{JOB_TAG}": "x"}),
      *on(OWN, "iam:UntagRole", **OURS, **{"aws:TagKeys": [JOB_TAG]})]),
    ("... with any other tag", "no no no",
     [*on(OWN, "iam:TagRole", **OURS, **{"aws:TagKeys": [JOB_TAG, "more"], f"aws:RequestTag/{JOB_TAG}": "x"}),
      *on(OWN, "iam:UntagRole", **OURS, **{"aws:TagKeys": [OWNER_TAG]}), *on(OWN, "iam:UntagRole", **OURS)]),
    ("... other roles", "no no no",
     [*on(OWN, "iam:UntagRole", **{"aws:TagKeys": [JOB_TAG]}), *roles(OTHERS, "iam:UntagRole", **OURS, **{"aws:TagKeys": [JOB_TAG]})]),

    ("diagnose the account's buckets, policies and keys", "no yes no",
     [*on(BUCKET, *DIAGNOSE_BUCKET, **IN_ACCOUNT), *on("arn:aws:iam::${account}:policy/any", *DIAGNOSE_POLICY),
      *on("arn:aws:iam::aws:policy/any", *DIAGNOSE_POLICY), *keys("${account}", *DIAGNOSE_KEY)]),
    ("... of a foreign account", "no no no",
     [*on(BUCKET, *DIAGNOSE_BUCKET, account=FOREIGN_ACCOUNT, **IN_FOREIGN_ACCOUNT),
      *on(f"arn:aws:iam::{FOREIGN_ACCOUNT}:policy/any", *DIAGNOSE_POLICY, account=FOREIGN_ACCOUNT), *keys(FOREIGN_ACCOUNT, *DIAGNOSE_KEY)]),

    ("record how long a replaced role stays", "no no yes", on(OWN, "iam:TagRole", **OURS, **{"aws:TagKeys": [KEEP_TAG], f"aws:RequestTag/{KEEP_TAG}": "1"})),
    ("... of other roles, or with more", "no no no",
     [*on(OWN, "iam:TagRole", **{"aws:TagKeys": [KEEP_TAG], f"aws:RequestTag/{KEEP_TAG}": "1"}),
      *on(OWN, "iam:TagRole", **OURS, **{"aws:TagKeys": [KEEP_TAG, "more"], f"aws:RequestTag/{KEEP_TAG}": "1"}),
      *on(OWN, "iam:UntagRole", **OURS, **{"aws:TagKeys": [KEEP_TAG]})]),

    ("manage the alarm of a rule of its own", "yes yes yes",
     on(f"{ALARM}:orders/s3-kms-replication.dr", *CHANGE_ALARM, "cloudwatch:DescribeAlarms")),
    ("... or any other alarm", "no no no", on(f"{ALARM}:orders", *CHANGE_ALARM, "cloudwatch:SetAlarmState")),
    ("read the parameter of its own stack with the policy", "no yes no",
     on("arn:aws:ssm:us-east-1:${account}:parameter${PolicyParameter}", "ssm:GetParameter")),
    ("read the policy's parameter", "no no yes", on("arn:aws:ssm:us-east-1:${account}:parameter/replication/policy", "ssm:GetParameter")),
    ("... change it, or read another", "no no no",
     [*on("arn:aws:ssm:us-east-1:${account}:parameter/replication/policy", "ssm:PutParameter"),
      *on("arn:aws:ssm:us-east-1:${account}:parameter/other", "ssm:GetParameter")]),

    ("read the queue of events", "yes yes yes", on("${EventQueue}", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")),
    ("ask itself for a catch-up by it", "no yes no", on("${EventQueue}", "sqs:SendMessage")),
    ("... empty it", "no no no", on("${EventQueue}", "sqs:PurgeQueue")),
    ("keep failed requests", "yes yes yes", on("${FailedRequestQueue}", "sqs:SendMessage")),
    ("... read them", "no no no", on("${FailedRequestQueue}", "sqs:ReceiveMessage")),
    ("write the log", "yes yes yes", on("${FunctionLogGroup}:log-stream:1", "logs:CreateLogStream", "logs:PutLogEvents")),
    ("... of another function", "no no no", on("${FunctionLogGroup}-2:log-stream:1", "logs:CreateLogStream", "logs:PutLogEvents")),
    ("trace", "yes yes yes", on("*", "xray:PutTelemetryRecords", "xray:PutTraceSegments")),

    ("acquire and release a lease", "yes yes yes", on("${lock_table}", *LEASE)),
    ("... in another table", "no no no", on("${lock_table}-2", *LEASE)),
    ("read or delete all leases", "no no no", on("${lock_table}", "dynamodb:Scan", "dynamodb:Query", "dynamodb:DeleteItem", "dynamodb:DeleteTable")),
    ("change functions", "no no no", on("${function}", "lambda:UpdateFunctionCode", "lambda:InvokeFunction")),
]


@dataclass
class Deployed:
    """The policies of one deployment's role as one document, and the values of the calls' placeholders."""

    policy: dict[str, Any]
    names: dict[str, str]

    @classmethod
    def of(cls, aws: LocalAws, stack: str, outputs: dict[str, str], **names: str) -> Deployed:
        role = outputs["ExecutionRoleArn"]
        name = role.rpartition("/")[2]
        iam = aws.client("iam")
        policy, = iam.list_role_policies(RoleName=name)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]]
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
            documents.append(iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"])

        physical_ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in aws.client(
            "cloudformation").describe_stack_resources(StackName=stack)["StackResources"]}

        def arn(prefix: str, resource: str) -> str:
            physical_id = physical_ids[resource]
            return f"arn:aws:{prefix}{physical_id.rpartition('/')[2] if physical_id.startswith('http') else physical_id}"

        here = f"{REGION}:{aws.account}:"
        queues = {name: arn(f"sqs:{here}", name) for name in ("EventQueue", "FailedRequestQueue")}
        statements = [statement for document in documents for statement in document["Statement"]]
        return cls({"Version": "2012-10-17", "Statement": statements}, {
            "account": aws.account, "path": ROLE_PATH, "boundary": f"arn:aws:iam::{aws.account}:policy/bounds",
            "extendable": f"arn:aws:iam::{aws.account}:role/their-replication", "execution_role": role,
            "lock_table": arn(f"dynamodb:{here}table/", "LockTable"), **queues,
            "FunctionLogGroup": arn(f"logs:{here}log-group:", "FunctionLogGroup"),
            "PolicyParameter": physical_ids.get("PolicyParameter", "/none"), "function": outputs["ServiceToken"], **names})


@pytest.fixture(scope="module")
def deployed(app: Application) -> list[Deployed]:
    """The three variants. Two are in another account, where no other test raises events."""
    other = LocalAws(app.aws.endpoint, app.aws.folder, ANOTHER_ACCOUNT)
    bucket = other.create_bucket("artifacts-of-another-account")
    own = {"path": "/platform/replication/", "boundary": f"arn:aws:iam::{ANOTHER_ACCOUNT}:policy/platform/bounds"}
    defaults = other.deploy("defaults", BUILT_TEMPLATE, bucket=bucket)
    bounded = other.deploy("bounded", BUILT_TEMPLATE, {
        "RolePath": own["path"], "RolePermissionsBoundaryArn": own["boundary"],
        "ReplicationPolicyParameter": "/replication/policy", "RoleScope": "Policy",
        "OrganizationId": ORGANIZATION, "OrganizationRoleName": "platform/setup"}, bucket)
    return [Deployed.of(other, "defaults", defaults), Deployed.of(app.aws, "app", app.outputs, extendable=app.extendable_role),
            Deployed.of(other, "bounded", bounded, **own)]


def test_invariant_8_execution_role_allows_exactly_what_the_function_needs(deployed: list[Deployed]) -> None:
    calls = [call for _, _, calls in TABLE for call in calls]
    allowed = zip(*(decisions([role.policy], calls, role.names)[0] for role in deployed), strict=True)
    found = []
    for what, _, calls in TABLE:
        allowed_by_role = zip(*(next(allowed) for _ in calls), strict=True)
        found.append((what, " ".join("yes" if all(role) else "some" if any(role) else "no" for role in allowed_by_role)))

    assert found == [(what, cells) for what, cells, _ in TABLE]


def statements() -> Iterator[tuple[int, dict[str, list[str]]]]:
    """The line and the texts of the elements of each policy statement in the template."""
    def texts(node: yaml.Node) -> list[str]:
        if isinstance(node, yaml.ScalarNode):
            return [node.value]
        return [text for child in children(node) for text in texts(child)]

    def children(node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            return [value for _, value in node.value]
        return node.value if isinstance(node, yaml.SequenceNode) else []

    def below(node: yaml.Node) -> Iterator[tuple[int, dict[str, list[str]]]]:
        elements = {key.value: texts(value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if "Effect" in elements:
            yield node.start_mark.line, elements
        for child in children(node):
            yield from below(child)

    return below(yaml.compose(TEMPLATE))


def test_invariant_8_template_actions_contain_no_wildcards() -> None:
    actions = [action for _, statement in statements() for action in statement["Action"]]

    assert len(actions) > 30
    assert [action for action in actions if not re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action)] == []


def test_resource_wildcards_are_explained_where_they_are_first_used() -> None:
    lines = TEMPLATE.splitlines()
    patterns = {}
    for line, statement in statements():
        above = line - 1
        while re.fullmatch(r" *- (!If|[A-Z]\w+)", lines[above]):
            above -= 1
        for resource in statement.get("Resource", []):
            if "*" in resource:
                patterns.setdefault(resource, lines[above].strip())

    assert len(patterns) >= 4
    assert [resource for resource, above in patterns.items() if not above.startswith("# ")] == []
