"""The function's flows succeed with the rights in `template.yaml`, and fail without any one of them.

A second stack is deployed with every optional right and a permissions boundary. Each flow runs once with the complete role. Then, for
each action of the role, a flow that needs it runs with a role that lacks it, and must be denied. The run ends with a table of actions and
flows.

The emulator does not evaluate IAM for what Lambda does with the role (read the queue, keep failed requests, write log and traces) or
for what S3 decrypts in a bucket with a Bucket Key, and it ignores the owner of a bucket. These actions are tested on the policy document
only, with the simulator. Jobs are run by a stand-in for S3 Batch Operations.
"""

from __future__ import annotations

import contextlib
import copy
import fnmatch
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import FOREIGN_TRUST, Application
from local_aws import ACCOUNT, BUILT_TEMPLATE, DESTINATION_ACCOUNT, POLICY_RULE, REGION, REPLICA_REGION, ROOT, LocalAws
from samples import bucket_event
from template import TEMPLATE

STACK = "rights"
POLICY_PARAMETER = "/rights/policy"
POLICY = {"Rules": [
    {**POLICY_RULE, "Match": {"BucketNames": ["rights-*"]}},
    {**POLICY_RULE, "Name": "tagged", "Match": {"BucketNames": ["rights-*"], "BucketTags": {"rights": "two"}},
     "DestinationBucket": "{bucket}-second"},
]}
ORGANIZATION = "o-a1b2c3d4e5"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
PERFORMED_BY_LAMBDA = {"Queue", "Log", "FailedRequests", "Traces"}
# Only with one role for all buckets of the policy: the simulator tests it, and `test_role_scope.py` uses it.
OF_ROLE_SCOPE = {"KeepReplacedRoles"}
PERFORMED_BY_S3 = {("EncryptCanaries", "kms:Decrypt")}
# The emulator treats every bucket as one of the caller's account.
ON_FOREIGN_BUCKETS = {("SeeDestinations", action) for action in (
    "s3:ListBucket", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning")}
# The emulator knows no organisations.
OF_AN_ORGANIZATION = [("OrganizationRole", "sts:AssumeRole")]
# The request succeeds without it, and the log has the error: the next Verify removes a remaining canary, and no walk needs the quota of roles.
REPORTED_IN_LOG_ONLY = {"s3:DeleteObjectVersion", "s3:GetObjectVersion", "iam:GetAccountSummary"}


def statements() -> dict[str, list[str]]:
    """The actions of each statement of the role in the template, including those that depend on a parameter."""
    resources = TEMPLATE["Resources"].values()
    managed = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::IAM::ManagedPolicy"]
    inline = TEMPLATE["Resources"]["ExecutionRole"]["Properties"]["Policies"]
    given = [statement for policy in (*inline, *managed) for statement in policy["PolicyDocument"]["Statement"]]
    statements = [statement.get("Fn::If", [None, statement])[1] for statement in given]
    return {statement["Sid"]: as_list(statement["Action"]) for statement in statements}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


ACTIONS = [(sid, action) for sid, actions in statements().items() if sid not in OF_ROLE_SCOPE for action in actions]
NOT_EVALUATED = [row for row in ACTIONS if row[0] in PERFORMED_BY_LAMBDA or row in PERFORMED_BY_S3]


# Flows: each prepares its buckets with the complete role and returns the payload to test.

def new_bucket(app: Application, name: str) -> dict[str, Any]:
    """The event of a new bucket, whose destination is created."""
    app.aws.create_bucket(name, key=app.source_key)
    return bucket_event("CreateBucket", name)


def configured_bucket(app: Application, name: str) -> dict[str, Any]:
    """An event of a bucket that needs no change."""
    payload = new_bucket(app, name)
    invoke_successfully(app, payload)
    return payload


def tagged_bucket(app: Application, name: str) -> dict[str, Any]:
    """The event of a tag that a second rule matches."""
    configured_bucket(app, name)
    app.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "rights", "Value": "two"}]})
    return bucket_event("PutBucketTagging", name)


def untagged_bucket(app: Application, name: str) -> dict[str, Any]:
    """The event of the removal of a tag that a rule matches."""
    invoke_successfully(app, tagged_bucket(app, name))
    app.s3.delete_bucket_tagging(Bucket=name)
    return bucket_event("DeleteBucketTagging", name)


def edited_role(app: Application, name: str) -> dict[str, Any]:
    """Reconcile after a change of the role's trust policy."""
    configured_bucket(app, name)
    app.iam.update_assume_role_policy(RoleName=f"s3-crr-{name}", PolicyDocument=json.dumps({**FOREIGN_TRUST, "Id": "edited"}))
    return {"Action": "Reconcile", "SourceBucket": name}


def unbounded_role(app: Application, name: str) -> dict[str, Any]:
    """Reconcile after the removal of the role's permissions boundary."""
    configured_bucket(app, name)
    app.iam.delete_role_permissions_boundary(RoleName=f"s3-crr-{name}")
    return {"Action": "Reconcile", "SourceBucket": name}


def deleted_bucket(app: Application, name: str) -> dict[str, Any]:
    """The event of a bucket's deletion."""
    configured_bucket(app, name)
    app.s3.delete_bucket(Bucket=name)
    return bucket_event("DeleteBucket", name)


def custom_resource(app: Application, name: str, kind: str, **more: Any) -> dict[str, Any]:
    # The signing time orders requests. The emulator's own URLs have none.
    signed = time.strftime("X-Amz-Date=%Y%m%dT%H%M%SZ", time.gmtime())
    properties = {"SourceBucket": name, "DestinationBucket": f"{name}-copy", "ReplicaKmsKeyArn": app.replica_key}
    return {
        "RequestType": kind, "RequestId": str(uuid.uuid4()), "LogicalResourceId": "Replication",
        "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/0", "ResourceType": "Custom::S3KmsReplication",
        "ResponseURL": f"{app.aws.endpoint}/_ministack/cfn-response/{uuid.uuid4()}?{signed}", "ResourceProperties": properties, **more}


def alarmed_resource(app: Application, name: str) -> dict[str, Any]:
    """Create of a custom resource with an alarm."""
    payload = created_resource(app, name)
    payload["ResourceProperties"]["AlarmTopicArn"] = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
    return payload


def deleted_alarmed_resource(app: Application, name: str) -> dict[str, Any]:
    """Delete of a custom resource with an alarm."""
    invoke_successfully(app, alarmed_resource(app, name))
    return custom_resource(app, name, "Delete", PhysicalResourceId=f"{name}/{app.rules(name)[0]['ID']}")


def created_resource(app: Application, name: str) -> dict[str, Any]:
    """Create of a custom resource."""
    app.aws.create_bucket(name, key=app.source_key)
    app.aws.create_bucket(f"{name}-copy", region=REPLICA_REGION)
    return custom_resource(app, name, "Create")


def updated_resource(app: Application, name: str) -> dict[str, Any]:
    """Update of a custom resource."""
    payload = created_resource(app, name)
    invoke_successfully(app, payload)
    physical_id, properties = f"{name}/{app.rules(name)[0]['ID']}", payload["ResourceProperties"]
    return custom_resource(app, name, "Update", PhysicalResourceId=physical_id, OldResourceProperties=properties,
                           ResourceProperties={**properties, "Prefix": "Tax"})


def deleted_resource(app: Application, name: str) -> dict[str, Any]:
    """Delete of a custom resource."""
    invoke_successfully(app, created_resource(app, name))
    return custom_resource(app, name, "Delete", PhysicalResourceId=f"{name}/{app.rules(name)[0]['ID']}")


def extended_role(app: Application, name: str) -> dict[str, Any]:
    """Apply with `ExistingRole: Extend`."""
    properties = created_resource(app, name)["ResourceProperties"]
    for bucket, client in ((name, app.s3), (f"{name}-copy", app.s3_replica)):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    app.s3.put_bucket_replication(Bucket=name, ReplicationConfiguration={"Role": app.extendable_role, "Rules": [{
        "ID": "theirs", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": "logs/"},
        "DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": {"Bucket": f"arn:aws:s3:::{name}-copy"}}]})
    return {"Action": "Apply", "ExistingRole": "Extend", **properties}


def reverted_role(app: Application, name: str) -> dict[str, Any]:
    """Delete of a rule that uses a foreign role."""
    payload = extended_role(app, name)
    invoke_successfully(app, payload)
    return {"Action": "Delete", "SourceBucket": name, "DestinationBucket": payload["DestinationBucket"]}


def verified_rule(app: Application, name: str) -> dict[str, Any]:
    """Apply with `Verify`, for a rule that filters by a tag."""
    app.aws.create_bucket(name, key=app.source_key)
    return {"Action": "Apply", "SourceBucket": name, "DestinationBucket": f"{name}-copy", "ReplicaKmsKeyArn": app.replica_key,
            "CreateDestinationBucket": True, "Tags": {"rights": "verify"}, "Verify": True}


def rule_with_destination_role(app: Application, name: str) -> dict[str, Any]:
    """Apply with a bucket that is created in another account, with a role of that account."""
    other = LocalAws(app.aws.endpoint, app.aws.folder, DESTINATION_ACCOUNT)
    trust = {**EVERYTHING, "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {
        "AWS": f"arn:aws:iam::{ACCOUNT}:root"}}]}
    iam = other.client("iam")
    role = iam.create_role(RoleName=f"setup-{name}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=f"setup-{name}", PolicyName="everything", PolicyDocument=json.dumps(EVERYTHING))
    app.aws.create_bucket(name, key=app.source_key)
    return {"Action": "Apply", "SourceBucket": name, "DestinationBucket": f"{name}-copy", "ReplicaKmsKeyArn": other.create_key(),
            "CreateDestinationBucket": True, "DestinationRoleArn": role}


def rule_with_readable_destination(app: Application, name: str) -> dict[str, Any]:
    """Apply with a bucket of another account, whose bucket and key policies allow reads."""
    other = LocalAws(app.aws.endpoint, app.aws.folder, DESTINATION_ACCOUNT)
    app.aws.create_bucket(name, key=app.source_key)
    copy, key = other.create_bucket(f"{name}-copy"), other.create_key()
    see = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    other.client("s3").put_bucket_policy(Bucket=copy, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {**see, "Action": ["s3:ListBucket", "s3:GetBucket*"], "Resource": f"arn:aws:s3:::{copy}"}]}))
    other.client("s3").put_bucket_versioning(Bucket=copy, VersioningConfiguration={"Status": "Enabled"})
    other.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {**see, "Action": "kms:DescribeKey", "Resource": "*"}]}))
    return {"Action": "Apply", "SourceBucket": name, "DestinationBucket": copy, "ReplicaKmsKeyArn": key,
            "DestinationAccount": DESTINATION_ACCOUNT}


def existing_objects(app: Application, name: str) -> dict[str, Any]:
    """Apply with a job for existing objects."""
    payload = created_resource(app, name)["ResourceProperties"]
    app.s3.put_object(Bucket=name, Key="1")
    return {"Action": "Apply", **payload, "ReplicateExistingObjects": True, "ReportBucket": app.aws.create_bucket(f"{name}-reports")}


def deleted_rule_with_job(app: Application, name: str) -> dict[str, Any]:
    """Delete of a rule whose job runs."""
    payload = existing_objects(app, name)
    invoke_successfully(app, payload)
    return {"Action": "Delete", "SourceBucket": name, "DestinationBucket": payload["DestinationBucket"]}


def deleted_rule_beside_another(app: Application, name: str) -> dict[str, Any]:
    """Delete of a rule with a job, whose role serves another rule."""
    payload = deleted_rule_with_job(app, name)
    other = app.aws.create_bucket(f"{name}-other", region=REPLICA_REGION)
    invoke_successfully(app, {"Action": "Apply", "SourceBucket": name, "DestinationBucket": other, "ReplicaKmsKeyArn": app.replica_key})
    return payload


def catch_up(app: Application, name: str) -> dict[str, Any]:
    """A catch-up that comes again, since S3 has not replicated an object yet."""
    payload = created_resource(app, name)["ResourceProperties"]
    invoke_successfully(app, {"Action": "Apply", **payload})
    app.s3.put_object(Bucket=name, Key="1")
    return {"Action": "CatchUp", "SourceBucket": name, "RuleId": app.rules(name)[0]["ID"], "Time": int(time.time()) - 60,
            "IsNew": True, "IsSecond": False}


def batch_of_a_walk(app: Application, name: str) -> dict[str, Any]:
    """Reconcile of several buckets, as a walk asks for it."""
    new_bucket(app, name)
    return {"Action": "Reconcile", "SourceBuckets": [name]}


def diagnosed_bucket(app: Application, name: str) -> dict[str, Any]:
    """Diagnose of a rule of others: its role has a managed policy and a boundary, and a key's policy leaves the decision to grants."""
    key = app.aws.create_key()
    described = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Resource": "*",
                 "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:CreateGrant", "kms:PutKeyPolicy"]}
    kms = app.aws.client("kms")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [described]}))
    managed = app.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(EVERYTHING))["Policy"]["Arn"]
    role = app.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(FOREIGN_TRUST), PermissionsBoundary=managed)["Role"]["Arn"]
    app.iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])
    app.aws.create_bucket(name, key=key)
    app.aws.create_bucket(f"{name}-copy", region=REPLICA_REGION)
    for bucket, client in ((name, app.s3), (f"{name}-copy", app.s3_replica)):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    app.s3.put_bucket_replication(Bucket=name, ReplicationConfiguration={"Role": role, "Rules": [{
        "ID": "theirs", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {"Bucket": f"arn:aws:s3:::{name}-copy", "Metrics": {"Status": "Enabled"},
                        "EncryptionConfiguration": {"ReplicaKmsKeyID": app.replica_key}}}]})
    return {"Action": "Diagnose", "SourceBucket": name}


# An action is tested in the first flow that needs it. Flows with an existing role come first: a missing role is found before it is read.
FLOWS: list[Callable[[Application, str], dict[str, Any]]] = [
    configured_bucket, new_bucket, tagged_bucket, untagged_bucket, edited_role, unbounded_role, deleted_bucket,
    created_resource, updated_resource, deleted_resource, alarmed_resource, deleted_alarmed_resource, extended_role, reverted_role,
    verified_rule, rule_with_destination_role, rule_with_readable_destination, existing_objects, deleted_rule_with_job,
    deleted_rule_beside_another, catch_up, batch_of_a_walk, diagnosed_bucket]
# This statement allows on foreign buckets and keys what other statements allow on the account's own.
# Other flows use some of these actions, too, but do not fail without them.
FLOWS_BY_STATEMENT = {
    "SeeDestinations": [rule_with_readable_destination],
    "Leases": [created_resource],
    "ListCanaries": [verified_rule],
    "NoteJobs": [existing_objects, deleted_rule_beside_another],
    "PassOwnRolesToJobs": [existing_objects],
    "ListVersions": [catch_up],
    "ReplicationStatus": [catch_up],
}
# These statements allow, for more buckets and objects, what the statement does: it is tested without them.
COVERED_BY = {"ListCanaries": ["ListVersions"], "Canaries": ["ReplicationStatus"]}


def invoke_cold(app: Application, payload: dict[str, Any]) -> str:
    """Invokes the function in a new process and returns its answer, with its response to CloudFormation."""
    function = app.aws.client("lambda")
    environment = function.get_function_configuration(FunctionName=app.function_name)["Environment"]
    environment["Variables"]["ANEW"] = str(uuid.uuid4())
    function.update_function_configuration(FunctionName=app.function_name, Environment=environment)
    answer = ended = '"Runtime.ExitError"'
    for _ in range(2):  # under load, the emulator can end the new process for an event
        if ended in answer:
            answer = function.invoke(FunctionName=app.function_name, Payload=json.dumps(payload))["Payload"].read().decode()
    token = payload.get("ResponseURL", "none").rpartition("/")[2].partition("?")[0]
    return answer + "".join(reply["Body"] for reply in app.aws.recorded("replies") if reply["Token"] == token)


def invoke_successfully(app: Application, payload: dict[str, Any]) -> None:
    """Invokes the function and checks that nothing failed. `NONE, FAILED` is the filter of a job, and a batch counts what it skipped."""
    answer = invoke_cold(app, payload)
    assert not re.search('error|(?<!NONE, )FAILED|Failed|Skipped(?!": 0)', answer), answer


def decisions(app: Application) -> list[dict[str, Any]]:
    """IAM's decisions about the function's calls so far."""
    name = execution_role(app)
    return [decision for decision in app.aws.recorded("decisions") if f":assumed-role/{name}/" in decision["caller"]]


def execution_role(app: Application) -> str:
    """The name of the function's role."""
    return app.outputs["ExecutionRoleArn"].rpartition("/")[2]


def policy(app: Application) -> list[dict[str, Any]]:
    """The statements of the function's role, of its inline policy and of its managed policies."""
    return [statement for document in documents(app).values() for statement in document["Statement"]]


def documents(app: Application) -> dict[str, dict[str, Any]]:
    """The policies of the function's role: the inline policy by its name, managed policies by their ARNs."""
    attached = app.iam.list_attached_role_policies(RoleName=execution_role(app))["AttachedPolicies"]
    return app.policies(execution_role(app)) | {each["PolicyArn"]: managed_policy(app, each["PolicyArn"]) for each in attached}


def managed_policy(app: Application, arn: str) -> dict[str, Any]:
    version = app.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return app.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def put_document(app: Application, name: str, document: dict[str, Any]) -> None:
    """Replaces a policy of the function's role; a document without statements removes the policy."""
    role, text = execution_role(app), json.dumps(document)
    if not name.startswith("arn:"):
        app.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)
    elif not document["Statement"]:
        app.iam.detach_role_policy(RoleName=role, PolicyArn=name)
    else:
        # A managed policy has at most five versions.
        earlier = app.iam.get_policy(PolicyArn=name)["Policy"]["DefaultVersionId"]
        app.iam.create_policy_version(PolicyArn=name, PolicyDocument=text, SetAsDefault=True)
        app.iam.delete_policy_version(PolicyArn=name, VersionId=earlier)
        app.iam.attach_role_policy(RoleName=role, PolicyArn=name)


@contextlib.contextmanager
def without_action(app: Application, sid: str, action: str) -> Iterator[None]:
    """Removes an action from a statement of the function's role, and from those that cover it, until the end of the block."""
    whole = documents(app)
    parts = copy.deepcopy(whole)
    for document in parts.values():
        for statement in document["Statement"]:
            if statement["Sid"] in (sid, *COVERED_BY.get(sid, [])):
                statement["Action"] = [other for other in as_list(statement["Action"]) if other != action]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
    changed = [name for name in whole if parts[name] != whole[name]]
    for name in changed:
        put_document(app, name, parts[name])
    try:
        yield
    finally:
        for name in changed:
            put_document(app, name, whole[name])


@pytest.fixture(scope="module")
def rights(app: Application) -> Iterator[Application]:
    """A second deployment with every optional right. Bucket events are disabled for both deployments."""
    aws, events = app.aws, app.aws.client("events")
    boundary = app.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(EVERYTHING))["Policy"]["Arn"]
    aws.client("ssm").put_parameter(Name=POLICY_PARAMETER, Type="String", Value=json.dumps(POLICY))
    outputs = aws.deploy(STACK, BUILT_TEMPLATE, {
        "ReplicationPolicyParameter": POLICY_PARAMETER, "RolePermissionsBoundaryArn": boundary,
        "AllowCreateDestinationBuckets": "true", "AllowVerify": "true", "AllowReplicateExistingObjects": "true", "AllowDiagnose": "true",
        "AllowCatchUp": "true", "AllowReadReplicationStatus": "true",
        "ExtendableRoleArns": app.extendable_role, "DestinationRoleArns": f"arn:aws:iam::{DESTINATION_ACCOUNT}:role/*", "DestinationAccounts": DESTINATION_ACCOUNT,
        "OrganizationId": ORGANIZATION, "OrganizationRoleName": "setup"})
    rules = {stack: app.cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="BucketRule")[
        "StackResourceDetail"]["PhysicalResourceId"] for stack in ("app", STACK)}
    for rule in rules.values():
        events.disable_rule(Name=rule)
    try:
        yield Application(aws, outputs, app.source_key, app.replica_key, app.extendable_role)
    finally:
        app.cloudformation.delete_stack(StackName=STACK)
        events.enable_rule(Name=rules["app"])


@pytest.fixture(scope="module")
def decisions_by_flow(rights: Application) -> dict[str, list[dict[str, Any]]]:
    """IAM's decisions in each flow with the complete role."""
    decisions_by_flow = {}
    for number, flow in enumerate(FLOWS):
        payload = flow(rights, f"rights-whole-{number}")
        before = len(decisions(rights))
        invoke_successfully(rights, payload)
        decisions_by_flow[flow.__name__] = decisions(rights)[before:]
    return decisions_by_flow


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, str, str]]]:
    """Rows of statement, action and the flow that needs it, printed at the end."""
    rows: list[tuple[str, str, str]] = []
    yield rows
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print()
        for sid, action, need in rows:
            print(f"  {sid:<29} {action:<36} {need}")


def test_deployed_role_has_the_statements_of_the_template(rights: Application) -> None:
    assert {statement["Sid"]: as_list(statement["Action"]) for statement in policy(rights)} == {
        sid: actions for sid, actions in statements().items() if sid not in OF_ROLE_SCOPE}


def test_invariant_8_flows_succeed_with_exactly_the_deployed_rights(decisions_by_flow: dict[str, list[dict[str, Any]]]) -> None:
    assert all(decisions_by_flow.values())
    assert [decision for flow in decisions_by_flow.values() for decision in flow if not decision["allowed"]] == []


@pytest.mark.parametrize(("sid", "action"), [row for row in ACTIONS if row not in (*NOT_EVALUATED, *ON_FOREIGN_BUCKETS, *OF_AN_ORGANIZATION)])
def test_invariant_8_flow_is_denied_without_each_action(rights: Application, decisions_by_flow: dict[str, list[dict[str, Any]]], table: list[tuple[str, str, str]],
                                                        sid: str, action: str) -> None:
    resources = as_list(next(statement for statement in policy(rights) if statement["Sid"] == sid)["Resource"])

    def lacks(decision: dict[str, Any]) -> bool:
        return decision["action"] == action and any(fnmatch.fnmatchcase(decision["resource"], pattern) for pattern in resources)

    flow = next((flow for flow in FLOWS_BY_STATEMENT.get(sid, FLOWS) if any(map(lacks, decisions_by_flow[flow.__name__]))), None)
    assert flow, f"no flow needs `{action}` of statement `{sid}`: remove it from the template"
    payload = flow(rights, f"rights-without-{ACTIONS.index((sid, action))}")
    before, since = len(decisions(rights)), time.time()
    with without_action(rights, sid, action):
        answer = invoke_cold(rights, payload)

    refused = [decision for decision in decisions(rights)[before:] if not decision["allowed"]]
    assert refused
    assert all(map(lacks, refused))
    message = rights.aws.function_log(since - 1) if action in REPORTED_IN_LOG_ONLY else answer
    assert "AccessDenied" in message or "access denied" in message
    table.append((sid, action, str(flow.__doc__).rstrip(".")))


@pytest.mark.parametrize(("sid", "action"), NOT_EVALUATED)
def test_actions_of_lambda_and_s3_are_not_evaluated_by_the_emulator(
        rights: Application, decisions_by_flow: dict[str, list[dict[str, Any]]], table: list[tuple[str, str, str]], sid: str,
        action: str) -> None:
    resources = as_list(next(statement for statement in policy(rights) if statement["Sid"] == sid)["Resource"])
    evaluated = [decision["resource"] for flow in decisions_by_flow.values() for decision in flow if decision["action"] == action]
    assert not [resource for resource in evaluated if any(fnmatch.fnmatchcase(resource, pattern) for pattern in resources)]
    table.append((sid, action, "used by Lambda or S3 itself: tested with the simulator"))
