"""`RoleScope` Policy: one role for all buckets of the policy, on the emulator with IAM's decisions about the function's calls.

The walk makes the role, and a second walk writes nothing. The documents are judged by the simulator for buckets inside and outside the
policy's patterns. `--buckets` says how many buckets are walked: 40, with `make scale` 2,000. A second, small account switches from one
scope to the other and back.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import RULE_PREFIX, Application
from local_aws import ACCOUNT, DESTINATION_ACCOUNT, POLICY_RULE, REGION, REPLICA_REGION, LocalAws, local_aws, wait_until
from samples import bucket_event, writes
from simulator import ENCRYPTION_CONTEXT, Call, decisions
from test_replication_documents import without_each_part
from test_rights import without_action
from walk_figures import WalkFigures, record, transitions

NAME = "s3-crr-us-east-1_"
POLICY = {"Rules": [{**POLICY_RULE, "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-scratch-*"]},
                     "DestinationBucket": "copy-{bucket}"}]}
OWNED = {"aws:ResourceAccount": "${account}"}
SOURCE_KEY, REPLICA_KEY = "arn:aws:kms:us-east-1:${account}:key/any", "${replica_key}"
AT_SOURCE, AT_DESTINATION = f"s3.{REGION}.amazonaws.com", f"s3.{REPLICA_REGION}.amazonaws.com"
BUCKET = ("s3:GetReplicationConfiguration", "s3:ListBucket")
READ = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
        "s3:GetObjectVersionAnnotationForReplication", "s3:GetObjectRetention", "s3:GetObjectLegalHold")
WRITE = ("s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags")


def on(resource: str, *actions: str, **context: str) -> list[Call]:
    return [Call(action, f"arn:aws:s3:::{resource}", context or OWNED) for action in actions]


def write(resource: str, encryption: str, key: str) -> list[Call]:
    return [Call("s3:ReplicateObject", f"arn:aws:s3:::{resource}", {
        **OWNED, "s3:x-amz-server-side-encryption": encryption, "s3:x-amz-server-side-encryption-aws-kms-key-id": key})]


def use(key: str, context: str, through: str, *actions: str) -> list[Call]:
    conditions = {ENCRYPTION_CONTEXT: f"arn:aws:s3:::{context}", "kms:ViaService": through}
    return [Call(f"kms:{action}", key, conditions) for action in actions]


# What is attempted, whether all (`yes`) or none (`no`) of the calls are allowed, and the calls.
TABLE = [
    ("read a matching bucket", "yes", on("prod-a", *BUCKET)),
    ("read its objects, all keys", "yes", on("prod-a/x/y", *READ)),
    ("decrypt its objects, without and with a Bucket Key", "yes",
     use(SOURCE_KEY, "prod-a/x", AT_SOURCE, "Decrypt") + use(SOURCE_KEY, "prod-a", AT_SOURCE, "Decrypt")),
    ("write its replicas", "yes", on("copy-prod-a/x", *WRITE) + write("copy-prod-a/x", "aws:kms", REPLICA_KEY)
     + write("copy-prod-a/x", "aws:kms:dsse", REPLICA_KEY) + write("copy-prod-a/x", "AES256", REPLICA_KEY)),
    ("encrypt its replicas, without and with a Bucket Key", "yes",
     use(REPLICA_KEY, "copy-prod-a/x", AT_DESTINATION, "Encrypt", "GenerateDataKey", "Decrypt")
     + use(REPLICA_KEY, "copy-prod-a", AT_DESTINATION, "Encrypt", "GenerateDataKey", "Decrypt")),
    ("read an excluded bucket", "no", on("prod-scratch-a", *BUCKET)),
    ("... its objects, which S3 does not begin", "yes", on("prod-scratch-a/x", *READ)),
    ("read another bucket", "no", on("secret", *BUCKET) + on("secret/prod-a/x", *READ)),
    ("read a bucket of another account", "no",
     on("prod-a", *BUCKET, **{"aws:ResourceAccount": "444455556666"}) + on("prod-a/x", *READ, **{"aws:ResourceAccount": "444455556666"})),
    ("write to another bucket", "no", on("secret/copy-prod-a/x", *WRITE)),
    ("write to a source", "no", on("prod-a/x", *WRITE) + on("prod-a/copy-prod-b/x", *WRITE)),
    ("write to a bucket of another account", "no", on("copy-prod-a/x", *WRITE, **{"aws:ResourceAccount": "444455556666"})),
    ("write with another key, or encrypted otherwise", "no",
     write("copy-prod-a/x", "aws:kms", SOURCE_KEY) + write("copy-prod-a/x", "aws:fsx", REPLICA_KEY)),
    ("use keys for another bucket", "no", use(SOURCE_KEY, "secret/prod-a", AT_SOURCE, "Decrypt")
     + use(REPLICA_KEY, "secret", AT_DESTINATION, "Encrypt") + use(REPLICA_KEY, "prod-a", AT_DESTINATION, "Encrypt")),
    ("use keys in another Region's S3", "no", use(SOURCE_KEY, "prod-a", AT_DESTINATION, "Decrypt")
     + use(REPLICA_KEY, "copy-prod-a", AT_SOURCE, "Encrypt", "GenerateDataKey", "Decrypt")),
    ("use other keys", "no", use("arn:aws:kms:us-east-1:444455556666:key/any", "prod-a", AT_SOURCE, "Decrypt")
     + use(SOURCE_KEY, "copy-prod-a", AT_DESTINATION, "Encrypt", "GenerateDataKey", "Decrypt")),
    ("read and write as a normal client", "no",
     on("prod-a/x", "s3:GetObject", "s3:PutObject", "s3:DeleteObject") + on("prod-a", "s3:PutReplicationConfiguration")),
]
CALLS = [call for _, _, calls in TABLE for call in calls]


def in_parallel(work: Any, items: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, items))


def walk(app: Application, buckets: int) -> dict[str, Any]:
    """Walks the account, which has this many buckets, and returns the walk's result."""
    return json.loads(execute(app, buckets)["output"])


def execute(app: Application, buckets: int) -> dict[str, Any]:
    """Walks the account, and returns the execution of the state machine."""
    states = app.aws.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=app.outputs["WalkStateMachineArn"])["executionArn"]
    ended = wait_until("the end of the walk", lambda: (found := states.describe_execution(executionArn=execution))[
        "status"] != "RUNNING" and found, 120 + 2 * buckets)
    assert ended["status"] == "SUCCEEDED"
    app.await_idle()
    return ended


def serving(app: Application, bucket: str) -> str | None:
    """The name of the role with which the bucket replicates."""
    configuration = app.replication(bucket)
    return configuration and configuration["Role"].rpartition("/")[2]


class Walked:
    """An application with one role for all buckets, and two walks over buckets that existed before it."""

    def __init__(self, application: Application, buckets: list[str]) -> None:
        self.app, self.buckets = application, buckets
        self.calls, self.outputs, self.figures = [], [], []
        for name in ("first", "second"):
            seen, invoked, started = len(self.app.calls()), len(self.app.aws.recorded("invocations")), time.monotonic()
            execution = execute(self.app, len(buckets))
            seconds = time.monotonic() - started
            self.outputs.append(json.loads(execution["output"]))
            self.calls.append(self.app.calls()[seen:])
            invocations = self.app.aws.recorded("invocations")[invoked:].count(["Action", "SourceBuckets"])
            self.figures.append(WalkFigures(name, len(buckets), len(self.app.replication_roles()), len(self.calls[-1]), invocations,
                                            transitions(self.app, execution["executionArn"]), seconds))

    def denied(self) -> list[dict[str, Any]]:
        name = self.app.outputs["ExecutionRoleArn"].rpartition("/")[2]
        return [decision for decision in self.app.aws.recorded("decisions")
                if f":assumed-role/{name}/" in decision["caller"] and not decision["allowed"]]


@pytest.fixture(scope="module")
def walked(request: pytest.FixtureRequest) -> Iterator[Walked]:
    buckets = [f"prod-{number:05}" for number in range(request.config.getoption("--buckets"))]
    with local_aws() as aws:
        aws.create_bucket("artifacts")
        source_key, replica_key = aws.create_key(), aws.create_key(REPLICA_REGION)
        aws.client("kms", REPLICA_REGION).create_alias(AliasName="alias/dr", TargetKeyId=replica_key)
        in_parallel(lambda bucket: aws.create_bucket(bucket, key=source_key), buckets)
        outputs = aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true", RoleScope="Policy")
        walked = Walked(Application(aws, outputs, source_key, replica_key, ""), buckets)
        record("Policy", walked.figures)
        yield walked
        with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{len(buckets)} buckets, {len(walked.app.replication_roles())} role")
            for name, calls in zip(("first", "second"), walked.calls, strict=True):
                counts = Counter(call["action"] for call in calls)
                print(f"  {name} walk: {len(calls) / len(buckets):.1f} calls for each bucket: "
                      + ", ".join(f"{action} {count}" for action, count in sorted(counts.items())))


def test_one_role_serves_every_bucket_with_exactly_the_deployed_rights(walked: Walked) -> None:
    role, = walked.app.replication_roles()
    assert role.startswith(NAME)
    assert walked.outputs[0]["Changed"] == len(walked.buckets)
    assert {serving(walked.app, bucket) for bucket in walked.buckets} == {role}
    assert walked.denied() == []


def test_second_walk_writes_nothing(walked: Walked) -> None:
    assert (walked.outputs[1]["Changed"], walked.outputs[1]["Failed"]) == (0, 0)
    assert writes(walked.calls[1]) == []


def test_event_of_a_new_bucket_makes_no_call_to_iam_but_the_first_look_of_a_process_at_the_role(walked: Walked) -> None:
    role, = walked.app.replication_roles()
    walked.app.aws.create_bucket("prod-new", key=walked.app.source_key)
    walked.app.await_idle()
    walked.app.invoke(bucket_event("CreateBucket", "prod-new"))
    seen = len(walked.app.calls())
    walked.app.aws.create_bucket("prod-newer", key=walked.app.source_key)
    walked.app.invoke(bucket_event("CreateBucket", "prod-newer"))
    to_iam = [call for call in walked.app.calls()[seen:] if call["action"].startswith("iam:")]
    assert [call for call in to_iam if not call["resource"].endswith(f"/{role}")] == []
    assert writes(to_iam) == []
    assert walked.app.rules("prod-newer")[0]["ID"] == f"{RULE_PREFIX}dr"


def test_role_of_all_buckets_allows_exactly_what_matching_buckets_need(walked: Walked, capsys: pytest.CaptureFixture[str]) -> None:
    document, = walked.app.policies(walked.app.replication_roles()[0]).values()
    names = {"account": ACCOUNT, "replica_key": walked.app.replica_key}
    parts, rests = zip(*without_each_part(document), strict=True)
    whole, *without = decisions([document, *rests], CALLS, names)
    results = iter(whole)
    found = []
    for what, _, calls in TABLE:
        allowed = [next(results) for _ in calls]
        found.append((what, "yes" if all(allowed) else "some" if any(allowed) else "no"))
    with capsys.disabled():
        print("\n\n" + "\n".join(f"{what:55}{cell}" for what, cell in found))

    assert found == [(what, cell) for what, cell, _ in TABLE]
    assert [part for part, decided in zip(parts, without, strict=True) if decided == whole] == []


@pytest.fixture(scope="module")
def switching() -> Iterator[Application]:
    """An application with `RoleScope` Bucket and two buckets, which have roles of their own."""
    with local_aws() as aws:
        aws.create_bucket("artifacts")
        source_key, replica_key = aws.create_key(), aws.create_key(REPLICA_REGION)
        aws.client("kms", REPLICA_REGION).create_alias(AliasName="alias/dr", TargetKeyId=replica_key)
        in_parallel(lambda bucket: aws.create_bucket(bucket, key=source_key), SWITCHED)
        app = Application(aws, with_scope(aws, "Bucket"), source_key, replica_key, "")
        walk(app, len(SWITCHED))
        yield app


SWITCHED = ["prod-bills", "prod-orders"]
OWN_ROLES = [f"s3-crr-{bucket}" for bucket in SWITCHED]


def with_scope(aws: LocalAws, scope: str) -> dict[str, str]:
    """Deploys the application with this `RoleScope`."""
    return aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true", DestinationAccounts=DESTINATION_ACCOUNT, RoleScope=scope)


def let_a_day_pass(app: Application) -> None:
    """Puts the time until which replaced roles stay into the past."""
    for role in OWN_ROLES:
        app.iam.tag_role(RoleName=role, Tags=[{"Key": "s3-kms-replication-keep-until", "Value": str(int(time.time()) - 1)}])


def test_walks_switch_from_bucket_to_policy_and_back(switching: Application) -> None:
    app = switching
    assert [serving(app, bucket) for bucket in SWITCHED] == OWN_ROLES

    with_scope(app.aws, "Policy")
    with without_action(app, "KeepReplacedRoles", "iam:TagRole"):
        assert walk(app, 2)["Failed"] == len(SWITCHED)
        assert [serving(app, bucket) for bucket in SWITCHED] == OWN_ROLES
    assert walk(app, 2)["Changed"] == len(SWITCHED)
    shared, = {serving(app, bucket) for bucket in SWITCHED}
    assert shared.startswith(NAME)
    assert walk(app, 2)["Changed"] == 0
    assert sorted(app.replication_roles()) == sorted([*OWN_ROLES, shared]), "objects may be pending"

    let_a_day_pass(app)
    assert walk(app, 2)["Changed"] == len(SWITCHED)
    assert app.replication_roles() == [shared]
    assert {serving(app, bucket) for bucket in SWITCHED} == {shared}

    with_scope(app.aws, "Bucket")
    assert walk(app, 2)["Changed"] == len(SWITCHED)
    assert [serving(app, bucket) for bucket in SWITCHED] == OWN_ROLES
    assert sorted(app.replication_roles()) == sorted([*OWN_ROLES, shared])
    assert walk(app, 2)["Changed"] == 0


def test_bucket_with_another_rule_or_a_key_of_another_account_has_its_own_role(switching: Application) -> None:
    app = switching
    with_scope(app.aws, "Policy")
    other = LocalAws(app.aws.endpoint, app.aws.folder, DESTINATION_ACCOUNT)
    foreign_key = other.create_key()
    other.client("kms").put_key_policy(KeyId=foreign_key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:DescribeKey", "Resource": "*"}]}))
    app.aws.create_bucket("copies", REPLICA_REGION)
    app.aws.create_bucket("prod-beside", key=app.source_key)
    app.aws.create_bucket("prod-foreign", key=foreign_key)
    app.invoke({"Action": "Apply", "SourceBucket": "prod-beside", "DestinationBucket": "copies", "Name": "mine", "Prefix": "a/",
                "ReplicaKmsKeyArn": app.replica_key})
    for bucket, reason in {
        "prod-beside": "its rule `s3-kms-replication.mine` is not of the replication policy",
        "prod-foreign": f"its default key `{foreign_key}` is of another account",
    }.items():
        rule, = app.invoke({"Action": "Reconcile", "SourceBucket": bucket})["Rules"]
        assert (rule.get("Error"), rule.get("RoleName"), serving(app, bucket)) == (None, f"s3-crr-{bucket}", f"s3-crr-{bucket}")
        assert f"role `s3-crr-{bucket}` of bucket `{bucket}`, although `RoleScope` is Policy: {reason}" in rule["Kept"]
    rule, = app.invoke({"Action": "Reconcile", "SourceBucket": SWITCHED[0]})["Rules"]
    assert rule["RoleName"].startswith(NAME)
    assert rule["Kept"] == []
