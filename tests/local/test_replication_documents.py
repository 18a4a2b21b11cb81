"""The replication role's policies allow exactly what S3 needs to replicate; the policies of two walkthroughs do not.

The documents are those that the function's Plan shows. S3's calls are taken from AWS's documentation: without AWS, no test can show
that S3 makes no other calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Application
from local_aws import ACCOUNT, REGION, REPLICA_REGION
from simulator import ENCRYPTION_CONTEXT, Call, decisions, substituted, may_assume

# The placeholders are those of the second walkthrough.
SOURCE, DESTINATION = "arn:aws:s3:::${src_bkt}", "arn:aws:s3:::${dest_bkt}"
SOURCE_KEY, REPLICA_KEY, OTHER_KEY = "${src_kms_arn}", "${dest_kms_arn}", "${other_kms_arn}"
AT_SOURCE, AT_DESTINATION = "s3.${src_kms_region}.amazonaws.com", "s3.${dest_kms_region}.amazonaws.com"
TAX, PAYROLL = "Tax/2026.pdf", "Payroll/2026.pdf"
READ = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl")
READ_TAGS, WRITE_TAGS = "s3:GetObjectVersionTagging", "s3:ReplicateTags"
READ_ANNOTATION = "s3:GetObjectVersionAnnotationForReplication"
READ_LOCK = ("s3:GetObjectRetention", "s3:GetObjectLegalHold")
READ_BUCKET = ("s3:ListBucket", "s3:GetReplicationConfiguration")
DELETE = "s3:ReplicateDelete"


def on(resource: str, *actions: str) -> list[Call]:
    return [Call(action, resource) for action in actions]


def write(replica: str, encryption: str = "aws:kms", key: str | None = REPLICA_KEY) -> Call:
    """The call that writes a replica, with its encryption headers."""
    headers = {"s3:x-amz-server-side-encryption": encryption, "s3:x-amz-server-side-encryption-aws-kms-key-id": key}
    return Call("s3:ReplicateObject", replica, {name: value for name, value in headers.items() if value})


def use(key: str, context: str | None, through: str | None, *actions: str) -> list[Call]:
    """Calls to a key with an encryption context, through a service."""
    conditions = {ENCRYPTION_CONTEXT: context, "kms:ViaService": through}
    return [Call(f"kms:{action}", key, {name: value for name, value in conditions.items() if value}) for action in actions]


def replicate(source_context: str, replica_context: str) -> list[Call]:
    """The calls that replicate an object. With a Bucket Key, the encryption context is the bucket, and S3 decrypts its data key."""
    bucket_key = ["Decrypt"] if replica_context == DESTINATION else []
    return [*on(f"{SOURCE}/{TAX}", *READ), *use(SOURCE_KEY, source_context, AT_SOURCE, "Decrypt"),
            write(f"{DESTINATION}/{TAX}"), *use(REPLICA_KEY, replica_context, AT_DESTINATION, "Encrypt", *bucket_key)]


def use_both(source_context: str | None, replica_context: str | None, at_source: str | None, at_destination: str | None,
             source_key: str = SOURCE_KEY, replica_key: str = REPLICA_KEY) -> list[Call]:
    """The key calls that the documents grant, with other contexts or services."""
    return [*use(source_key, source_context, at_source, "Decrypt"),
            *use(replica_key, replica_context, at_destination, "Encrypt", "GenerateDataKey", "Decrypt")]


# What is attempted; the results with four policies; and the calls. The policies: ours for a whole bucket, ours for the prefix `Tax`,
# that of AWS's walkthrough (with that prefix), and that of s3-crr-with-kms-encryption (a whole bucket). `yes`: all calls are allowed;
# `no`: none is. For the walkthroughs, `FAILS`: a needed call is denied; `WIDER`: an unneeded call is allowed.
TABLE = [
    ("replicate an object, no Bucket Keys", "yes yes FAILS yes", replicate(f"{SOURCE}/{TAX}", f"{DESTINATION}/{TAX}")),
    ("... a Bucket Key at the source", "yes yes FAILS FAILS", replicate(SOURCE, f"{DESTINATION}/{TAX}")),
    ("... a Bucket Key at the destination", "yes yes FAILS FAILS", replicate(f"{SOURCE}/{TAX}", DESTINATION)),
    ("... Bucket Keys at both", "yes yes FAILS FAILS", replicate(SOURCE, DESTINATION)),
    ("generate a replica's data key", "yes yes FAILS FAILS",
     [*use(REPLICA_KEY, f"{DESTINATION}/{TAX}", AT_DESTINATION, "GenerateDataKey"),
      *use(REPLICA_KEY, DESTINATION, AT_DESTINATION, "GenerateDataKey")]),
    ("replicate an object's tags", "yes yes yes FAILS",
     [*on(f"{SOURCE}/{TAX}", READ_TAGS), *on(f"{DESTINATION}/{TAX}", WRITE_TAGS)]),
    ("read an object's annotations", "yes yes FAILS FAILS", on(f"{SOURCE}/{TAX}", READ_ANNOTATION)),
    ("replicate a delete marker", "yes yes yes yes", on(f"{DESTINATION}/{TAX}", DELETE)),
    ("write a replica with SSE-S3", "yes yes yes yes", [write(f"{DESTINATION}/{TAX}", "AES256", None)]),
    ("write a replica with DSSE-KMS", "yes yes FAILS FAILS", [write(f"{DESTINATION}/{TAX}", "aws:kms:dsse")]),
    ("read the source bucket's settings", "yes yes yes yes", on(SOURCE, *READ_BUCKET)),

    ("read an object outside `Tax`", "yes no WIDER yes", on(f"{SOURCE}/{PAYROLL}", *READ)),
    ("decrypt it", "yes no no yes", use(SOURCE_KEY, f"{SOURCE}/{PAYROLL}", AT_SOURCE, "Decrypt")),
    ("... a Bucket Key, shared by all objects", "yes yes yes FAILS", use(SOURCE_KEY, SOURCE, AT_SOURCE, "Decrypt")),
    ("write its replica or delete marker", "yes no WIDER yes",
     [write(f"{DESTINATION}/{PAYROLL}"), *on(f"{DESTINATION}/{PAYROLL}", DELETE, WRITE_TAGS)]),
    ("encrypt its replica", "yes no no yes", use(REPLICA_KEY, f"{DESTINATION}/{PAYROLL}", AT_DESTINATION, "Encrypt")),
    ("generate or decrypt its data key", "yes no no FAILS",
     use(REPLICA_KEY, f"{DESTINATION}/{PAYROLL}", AT_DESTINATION, "GenerateDataKey", "Decrypt")),

    ("read another bucket", "no no no no", [*on(f"{SOURCE}-2", *READ_BUCKET), *on(f"{SOURCE}-2/{TAX}", *READ, READ_TAGS, READ_ANNOTATION)]),
    ("write to another bucket", "no no no no",
     [write(f"{DESTINATION}-2/{TAX}"), *on(f"{DESTINATION}-2/{TAX}", DELETE, WRITE_TAGS)]),
    ("read the destination", "no no no WIDER", [*on(DESTINATION, *READ_BUCKET), *on(f"{DESTINATION}/{TAX}", *READ, READ_TAGS)]),
    ("write to a bucket that changed hands", "no no WIDER WIDER",
     [Call("s3:ReplicateObject", f"{DESTINATION}/{TAX}", {**write("").context, "aws:ResourceAccount": "444455556666"})]),
    ("write to the source", "no no no no", [write(f"{SOURCE}/{TAX}"), *on(f"{SOURCE}/{TAX}", DELETE, WRITE_TAGS)]),
    ("write a replica with another key", "no no no no",
     [write(f"{DESTINATION}/{TAX}", key=OTHER_KEY), write(f"{DESTINATION}/{TAX}", key=SOURCE_KEY)]),
    ("write a replica encrypted otherwise", "no no no no", [write(f"{DESTINATION}/{TAX}", "aws:fsx", None)]),
    ("use other keys", "no no no no",
     use_both(f"{SOURCE}/{TAX}", f"{DESTINATION}/{TAX}", AT_SOURCE, AT_DESTINATION, OTHER_KEY, OTHER_KEY)),
    ("use each key for the other", "no no no no",
     use_both(f"{SOURCE}/{TAX}", f"{DESTINATION}/{TAX}", AT_SOURCE, AT_DESTINATION, REPLICA_KEY, SOURCE_KEY)),
    ("encrypt with the source key", "no no no no",
     [*use(SOURCE_KEY, f"{SOURCE}/{TAX}", AT_SOURCE, "Encrypt", "GenerateDataKey"),
      *use(SOURCE_KEY, SOURCE, AT_SOURCE, "Encrypt", "GenerateDataKey")]),
    ("use the keys in other Regions' S3", "no no no no",
     use_both(f"{SOURCE}/{TAX}", f"{DESTINATION}/{TAX}", AT_DESTINATION, AT_SOURCE)
     + use_both(SOURCE, DESTINATION, "s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com")),
    ("use the keys in another service", "no no no no",
     use_both(f"{SOURCE}/{TAX}", f"{DESTINATION}/{TAX}", *(at.replace("s3.", "dynamodb.") for at in (AT_SOURCE, AT_DESTINATION)))
     + use_both(SOURCE, DESTINATION, *(at.replace("s3.", "dynamodb.") for at in (AT_SOURCE, AT_DESTINATION)))),
    ("use the keys directly", "no no no no",
     use_both(f"{SOURCE}/{TAX}", f"{DESTINATION}/{TAX}", None, None) + use_both(SOURCE, DESTINATION, None, None)),
    ("use the keys for other buckets", "no no no no",
     use_both(f"{SOURCE}-2/{TAX}", f"{DESTINATION}-2/{TAX}", AT_SOURCE, AT_DESTINATION)
     + use_both(f"{SOURCE}-2", f"{DESTINATION}-2", AT_SOURCE, AT_DESTINATION)
     + use_both(f"{DESTINATION}/{TAX}", f"{SOURCE}/{TAX}", AT_SOURCE, AT_DESTINATION)),
    ("use the keys without an encryption context", "no no no no", use_both(None, None, AT_SOURCE, AT_DESTINATION)),
    ("other key operations", "no no no no",
     [call for key, bucket, through in ((SOURCE_KEY, SOURCE, AT_SOURCE), (REPLICA_KEY, DESTINATION, AT_DESTINATION))
      for call in use(key, bucket, through, "ReEncryptFrom", "ReEncryptTo", "CreateGrant")]
     + [call for key in (SOURCE_KEY, REPLICA_KEY) for call in on(
         key, "kms:DescribeKey", "kms:ScheduleKeyDeletion", "kms:PutKeyPolicy")]),
    ("read objects as a normal client", "no no no no",
     [call for bucket in (SOURCE, DESTINATION) for call in on(
         f"{bucket}/{TAX}", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging")]),
    ("write objects as a normal client", "no no no no",
     [call for bucket in (SOURCE, DESTINATION) for call in on(
         f"{bucket}/{TAX}", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl")]),
    ("change the owner of replicas", "no no no no", on(f"{DESTINATION}/{TAX}", "s3:ObjectOwnerOverrideToBucketOwner")),
    ("read Object Lock without a lock", "no no no no", on(f"{SOURCE}/{TAX}", *READ_LOCK)),
    ("change or delete the buckets", "no no no no",
     [call for bucket in (SOURCE, DESTINATION) for call in on(
         bucket, "s3:PutReplicationConfiguration", "s3:PutBucketPolicy", "s3:PutBucketVersioning", "s3:DeleteBucket")]),
]
CALLS = [call for _, _, calls in TABLE for call in calls]
WALKTHROUGHS = Path(__file__).with_name("walkthroughs")
AWS, MIZTIIK = "aws-replication-walkthrough-4", "s3-crr-with-kms-encryption"


class PlannedDocuments:
    """Two buckets, and the policy documents of plans that replicate one to the other."""

    def __init__(self, app: Application, source: str, locked: bool = False) -> None:
        self.app = app
        self.names = {"account": ACCOUNT, "src_bkt": source, "dest_bkt": f"{source}-copy",
                      "src_kms_region": REGION, "dest_kms_region": REPLICA_REGION,
                      "src_kms_arn": app.source_key, "dest_kms_arn": app.replica_key, "other_kms_arn": app.aws.create_key()}
        app.s3.create_bucket(Bucket=source, ObjectLockEnabledForBucket=locked)
        app.s3_replica.create_bucket(Bucket=f"{source}-copy", ObjectLockEnabledForBucket=locked,
                                     CreateBucketConfiguration={"LocationConstraint": REPLICA_REGION})
        app.aws.encrypt_bucket(source, app.source_key)

    def documents(self, **properties: Any) -> dict[str, dict[str, Any]]:
        """The documents of a plan, by the action that writes them."""
        buckets = {"SourceBucket": self.names["src_bkt"], "DestinationBucket": self.names["dest_bkt"]}
        plan = self.app.invoke({"Action": "Plan", **buckets, "ReplicaKmsKeyArn": self.app.replica_key, **properties})
        return {step["Action"]: step["Document"] for stage in plan["Stages"] for step in stage if "Document" in step}

    def policy(self, **properties: Any) -> dict[str, Any]:
        return self.documents(**properties)["PutRolePolicy"]

    def walkthrough(self, name: str) -> dict[str, Any]:
        return substituted(json.loads((WALKTHROUGHS / f"{name}.json").read_text()), self.names)

    def allowed(self, policy: dict[str, Any], calls: list[Call]) -> list[Call]:
        """The calls that a policy allows."""
        results, = decisions([policy], calls, self.names)
        return [call for call, allowed in zip(calls, results, strict=True) if allowed]


@pytest.fixture(scope="module")
def planned(app: Application) -> PlannedDocuments:
    return PlannedDocuments(app, "documents")


def test_trust_policy_lets_only_s3_assume_the_role(planned: PlannedDocuments) -> None:
    trust = planned.documents()["CreateRole"]
    principals = ["s3.amazonaws.com", "lambda.amazonaws.com", "batchoperations.s3.amazonaws.com", "ec2.amazonaws.com",
                  f"arn:aws:iam::{ACCOUNT}:user/any", f"arn:aws:iam::{ACCOUNT}:root", "arn:aws:iam::444455556666:role/any"]

    assert may_assume(trust, principals, ACCOUNT) == [True, *[False] * 6]


def test_role_policy_allows_exactly_what_replication_needs(planned: PlannedDocuments, capsys: pytest.CaptureFixture[str]) -> None:
    policies = [planned.policy(), planned.policy(Prefix="Tax"), planned.walkthrough(AWS), planned.walkthrough(MIZTIIK)]
    results = zip(*decisions(policies, CALLS, planned.names), strict=True)
    found = []
    for what, _, calls in TABLE:
        whole, prefix, aws, miztiik = zip(*(next(results) for _ in calls), strict=True)
        found.append((what, " ".join([mark_own(whole), mark_own(prefix), mark_walkthrough(aws, mark_own(prefix)), mark_walkthrough(miztiik, mark_own(whole))])))
    with capsys.disabled():
        print(f"\n\n{'':40}{'ours':9}{'ours, `Tax`':15}{'AWS':9}s3-crr-with-kms-encryption")
        for what, cells in found:
            print("{:40}{:9}{:15}{:9}{}".format(what, *cells.split()))

    assert found == [(what, cells) for what, cells, _ in TABLE]


def mark_own(results: Sequence[bool]) -> str:
    return "yes" if all(results) else "some" if any(results) else "no"


def mark_walkthrough(results: Sequence[bool], needed: str) -> str:
    if needed == "yes":
        return "yes" if all(results) else "FAILS"
    return "WIDER" if any(results) else "no"


def test_removing_any_part_of_the_role_policy_changes_a_decision(planned: PlannedDocuments) -> None:
    policy = planned.policy(Prefix="Tax")
    parts, rests = zip(*without_each_part(policy), strict=True)
    whole, *without = decisions([policy, *rests], CALLS, planned.names)

    assert len(parts) > 20
    assert [part for part, results in zip(parts, without, strict=True) if results == whole] == []


def without_each_part(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each removable statement, action, condition and value, with the document that remains without it."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            before, after = value[:index], value[index + 1:]
            yield item, [*before, *after]
            yield from ((part, [*before, rest, *after]) for part, rest in without_each_part(item))
    if isinstance(value, dict):
        for name, item in value.items():
            if ":" in name:
                yield name, {other: kept for other, kept in value.items() if other != name}
            yield from ((part, {**value, name: rest}) for part, rest in without_each_part(item))


def test_job_rights_allow_exactly_replication_and_its_report(planned: PlannedDocuments) -> None:
    planned.app.s3.put_object(Bucket=planned.names["src_bkt"], Key=TAX, Body=b"")  # an empty bucket gets no job
    properties = {"Prefix": "Tax", "ReplicateExistingObjects": True, "ReportBucket": planned.names["dest_bkt"], "ReportPrefix": "crr"}
    policy, trust = planned.policy(**properties), planned.documents(**properties)["CreateRole"]
    needed = [*on(f"{SOURCE}/{TAX}", "s3:InitiateReplication"),
              *on(SOURCE, "s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"),
              *on(f"{DESTINATION}/crr/job-1/manifest.json", "s3:PutObject")]
    others = [*on(f"{SOURCE}/{PAYROLL}", "s3:InitiateReplication"), *on(f"{DESTINATION}/crr/{TAX}", "s3:PutObject"),
              *on(DESTINATION, "s3:PutInventoryConfiguration"), *(call for call in CALLS if call not in needed)]

    assert planned.allowed(policy, needed + others) == needed
    assert [part for part, rest in without_each_part(policy) if planned.allowed(rest, needed) == needed] == []
    principals = ["s3.amazonaws.com", "batchoperations.s3.amazonaws.com", "lambda.amazonaws.com", f"arn:aws:iam::{ACCOUNT}:root"]
    assert may_assume(trust, principals, ACCOUNT) == [True, True, False, False]


@pytest.mark.parametrize(("walkthrough", "what", "missing"), [
    (AWS, "replicate an object, no Bucket Keys", {f"kms:Decrypt {SOURCE_KEY}", f"kms:Encrypt {REPLICA_KEY}"}),
    (AWS, "... a Bucket Key at the source", {f"kms:Encrypt {REPLICA_KEY}"}),
    (AWS, "... a Bucket Key at the destination", {f"kms:Decrypt {SOURCE_KEY}", f"kms:Decrypt {REPLICA_KEY}"}),
    (AWS, "... Bucket Keys at both", {f"kms:Decrypt {REPLICA_KEY}"}),
    (MIZTIIK, "... a Bucket Key at the source", {f"kms:Decrypt {SOURCE_KEY}"}),
    (MIZTIIK, "... a Bucket Key at the destination", {f"kms:Encrypt {REPLICA_KEY}", f"kms:Decrypt {REPLICA_KEY}"}),
    (MIZTIIK, "... Bucket Keys at both",
     {f"kms:Decrypt {SOURCE_KEY}", f"kms:Encrypt {REPLICA_KEY}", f"kms:Decrypt {REPLICA_KEY}"}),
    (MIZTIIK, "replicate an object's tags", {f"s3:GetObjectVersionTagging {SOURCE}/{TAX}"}),
])
def test_walkthrough_policies_lack_exactly_these_rights(planned: PlannedDocuments, walkthrough: str, what: str, missing: set[str]) -> None:
    calls, = (calls for row, _, calls in TABLE if row == what)
    allowed = planned.allowed(planned.walkthrough(walkthrough), calls)

    assert {f"{call.action} {call.resource}" for call in calls if call not in allowed} == missing


def test_only_named_source_keys_can_decrypt(planned: PlannedDocuments) -> None:
    named = [planned.app.source_key, planned.app.aws.create_key()]
    calls = [call for key in (*named, planned.app.aws.create_key()) for context in (SOURCE, f"{SOURCE}/{TAX}")
             for call in use(key, context, AT_SOURCE, "Decrypt", "Encrypt")]
    policy = planned.policy(SourceKmsKeyArns=named)

    assert planned.allowed(policy, calls) == [call for call in calls if call.action == "kms:Decrypt" and call.resource in named]
    assert planned.allowed(policy, CALLS) == planned.allowed(planned.policy(), CALLS)


def test_object_lock_adds_only_rights_to_read_locks(app: Application, planned: PlannedDocuments) -> None:
    locked = PlannedDocuments(app, "locked-documents", locked=True)
    unlocked = planned.allowed(planned.policy(), CALLS)

    assert locked.allowed(locked.policy(), CALLS) == [call for call in CALLS if call in unlocked or call.action in READ_LOCK]


def test_source_without_kms_grants_no_key_rights(app: Application, planned: PlannedDocuments) -> None:
    unencrypted = PlannedDocuments(app, "plain-documents")
    app.s3.delete_bucket_encryption(Bucket="plain-documents")
    encrypted = planned.allowed(planned.policy(), CALLS)

    assert unencrypted.allowed(unencrypted.policy(), CALLS) == [call for call in encrypted if not call.action.startswith("kms:")]


@pytest.mark.parametrize(("prefix", "inside", "outside"), [
    ("Tax", "Taxi.pdf", "tax.pdf"),
    ("Tax/", "Tax/2026.pdf", "Taxi.pdf"),
    ("a?b/", "a?b/1.pdf", "axb/1.pdf"),
    ("a*b/", "a*b/1.pdf", "axb/1.pdf"),
    ("${?}/", "${?}/1.pdf", "?/1.pdf"),
])
def test_prefix_is_matched_literally_and_not_as_a_pattern(planned: PlannedDocuments, prefix: str, inside: str, outside: str) -> None:
    def calls(key: str) -> list[Call]:
        key = key.replace("$", "$$")
        # The simulator would treat a `*` in a call's resource as a pattern.
        objects = [] if "*" in key else [*on(f"{SOURCE}/{key}", *READ), write(f"{DESTINATION}/{key}")]
        return [*use(SOURCE_KEY, f"{SOURCE}/{key}", AT_SOURCE, "Decrypt"),
                *use(REPLICA_KEY, f"{DESTINATION}/{key}", AT_DESTINATION, "Encrypt"), *objects]

    assert planned.allowed(planned.policy(Prefix=prefix), calls(inside) + calls(outside)) == calls(inside)
