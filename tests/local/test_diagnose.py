"""Diagnose finds each fault that the emulator can hold, alone, through the program and the function, with IAM enforced.

The function runs with the rights that `AllowDiagnose` gives, and with nothing else. A deployment without them names the parameter.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import FOREIGN_TRUST, Application
from local_aws import ACCOUNT, BUILT_TEMPLATE, REPLICA_REGION, ROOT, ClientError

PROGRAM = ROOT / "target" / "debug" / "s3-kms-replication"
ROOT_MAY_ALL = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}


@dataclass
class Setup:
    """A bucket that others replicate with a role of their own: it works until a fault is put into it."""

    app: Application
    name: str
    faultless: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        aws, app = self.app.aws, self.app
        self.copy, self.key, self.replica_key = f"{self.name}-copy", aws.create_key(), aws.create_key(REPLICA_REGION)
        aws.create_bucket(self.name, key=self.key)
        aws.create_bucket(self.copy, region=REPLICA_REGION)
        for bucket, client in ((self.name, app.s3), (self.copy, app.s3_replica)):
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.kms, self.replica_kms = aws.client("kms"), aws.client("kms", REPLICA_REGION)
        self.role = app.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(FOREIGN_TRUST))["Role"]["Arn"]
        source, copy = f"arn:aws:s3:::{self.name}", f"arn:aws:s3:::{self.copy}"
        self.faultless = {
            "Bucket": {"Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": source},
            "Read": {"Action": ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
                                "s3:GetObjectVersionAnnotationForReplication"], "Resource": f"{source}/*"},
            "Write": {"Action": ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], "Resource": f"{copy}/*"},
            "Decrypt": {"Action": ["kms:Decrypt"], "Resource": self.key, "Condition": {"StringLike": {
                "kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": [source, f"{source}/*"]}}},
            "Encrypt": {"Action": ["kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"], "Resource": self.replica_key,
                        "Condition": {"StringLike": {"kms:ViaService": "s3.us-west-2.amazonaws.com",
                                                     "kms:EncryptionContext:aws:s3:arn": [copy, f"{copy}/*"]}}},
        }
        self.grant()
        self.replicate()

    def grant(self, **changes: dict[str, Any] | None) -> None:
        """Writes the role's inline policy, with these changes of its statements."""
        statements = [{"Sid": sid, "Effect": "Allow", **statement, **(changes.get(sid) or {})}
                      for sid, statement in self.faultless.items() if changes.get(sid, {}) is not None]
        document = {"Version": "2012-10-17", "Statement": statements}
        self.app.iam.put_role_policy(RoleName=self.name, PolicyName="replication", PolicyDocument=json.dumps(document))

    def replicate(self, **changes: Any) -> None:
        """Writes the rule, with these changes."""
        rule = {"ID": "theirs", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"},
                "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                "Destination": {"Bucket": f"arn:aws:s3:::{self.copy}", "EncryptionConfiguration": {"ReplicaKmsKeyID": self.replica_key}}}
        self.app.s3.put_bucket_replication(Bucket=self.name, ReplicationConfiguration={"Role": self.role, "Rules": [{**rule, **changes}]})

    def context(self, *arns: str) -> dict[str, Any]:
        """The statement `Decrypt` with this encryption context."""
        condition = self.faultless["Decrypt"]["Condition"]["StringLike"]
        return {"Condition": {"StringLike": {**condition, "kms:EncryptionContext:aws:s3:arn": list(arns)}}}

    def deny(self, **more: Any) -> str:
        """A policy that denies the role what `more` says, beside what a key's policy allows the account."""
        return json.dumps({"Version": "2012-10-17", "Statement": [
            *([ROOT_MAY_ALL] if more["Action"].startswith("kms:") else []),
            {"Sid": "Never", "Effect": "Deny", "Principal": {"AWS": self.role}, **more}]})

    def trust(self, service: str) -> None:
        self.app.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(FOREIGN_TRUST).replace("s3.amazonaws.com", service))

    def versioning(self, status: str) -> None:
        self.app.s3_replica.put_bucket_versioning(Bucket=self.copy, VersioningConfiguration={"Status": status})

    def function(self) -> dict[str, Any]:
        return self.app.invoke({"Action": "Diagnose", "SourceBucket": self.name})

    def program(self, *more: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the answer of the program."""
        done = subprocess.run([PROGRAM, "diagnose", "--source-bucket", self.name, "--output", "json", *more],
                              env=self.app.aws.environment, capture_output=True, text=True, timeout=120)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


def failures(diagnosis: dict[str, Any]) -> list[str]:
    """The codes of the findings that make S3 fail objects."""
    return sorted({finding["Code"] for rule in diagnosis["Rules"] for finding in rule["Findings"] if finding["Severity"].startswith("Fails")})


Change = Callable[[Setup], Any]
# A fault and its undoing, by the code of its finding.
FAULTS: list[tuple[str, Change, Change]] = [
    ("RuleDisabled", lambda s: s.replicate(Status="Disabled"), Setup.replicate),
    ("DestinationNotVersioned", lambda s: s.versioning("Suspended"), lambda s: s.versioning("Enabled")),
    ("RoleNotTrusted", lambda s: s.trust("ec2.amazonaws.com"), lambda s: s.trust("s3.amazonaws.com")),
    ("ActionNotGranted", lambda s: s.grant(Write={"Resource": f"arn:aws:s3:::{s.copy}"}), Setup.grant),
    ("KeyNotGranted", lambda s: s.grant(Decrypt=None), Setup.grant),
    ("EncryptionContextNotGranted", lambda s: s.grant(Decrypt=s.context(f"arn:aws:s3:::{s.name}")), Setup.grant),
    ("ReplicaKeyUnusable", lambda s: s.replica_kms.disable_key(KeyId=s.replica_key), lambda s: s.replica_kms.enable_key(KeyId=s.replica_key)),
    ("KeyPolicyDenies", lambda s: s.kms.put_key_policy(KeyId=s.key, PolicyName="default", Policy=s.deny(Action="kms:Decrypt", Resource="*")),
     lambda s: s.kms.put_key_policy(KeyId=s.key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [ROOT_MAY_ALL]}))),
    ("SourceBucketPolicyDenies", lambda s: s.app.s3.put_bucket_policy(
        Bucket=s.name, Policy=s.deny(Action="s3:GetObjectVersionForReplication", Resource=f"arn:aws:s3:::{s.name}/*")),
     lambda s: s.app.s3.delete_bucket_policy(Bucket=s.name)),
    ("DestinationBucketPolicyDenies", lambda s: s.app.s3_replica.put_bucket_policy(
        Bucket=s.copy, Policy=s.deny(Action="s3:ReplicateObject", Resource=f"arn:aws:s3:::{s.copy}/*")),
     lambda s: s.app.s3_replica.delete_bucket_policy(Bucket=s.copy)),
]


@pytest.fixture(scope="module")
def setup(app: Application) -> Setup:
    return Setup(app, "diagnosed")


@pytest.mark.parametrize(("code", "break_it", "mend_it"), FAULTS, ids=[code for code, _, _ in FAULTS])
def test_fault_is_found_alone_and_goes_when_it_is_mended(setup: Setup, code: str, break_it: Change, mend_it: Change) -> None:
    break_it(setup)
    try:
        answer, (exit_code, same) = setup.function(), setup.program("--sample", "0")
        assert (failures(answer), answer["Verdict"], exit_code) == ([code], "Fails", 4), answer["Text"]
        assert (failures(same), same["Verdict"]) == ([code], "Fails")
    finally:
        mend_it(setup)
    mended = setup.function()
    assert (failures(mended), mended["Verdict"]) == ([], "Works"), mended["Text"]
    assert setup.program("--sample", "0")[0] == 0


def test_invariant_10_diagnosis_by_the_function_only_reads(setup: Setup) -> None:
    before = len(setup.app.calls())
    setup.function()
    reads = {call["action"].partition(":")[2] for call in setup.app.calls()[before:]}
    assert reads
    assert [action for action in reads if not action.startswith(("Get", "List", "Head", "Describe"))] == []


def test_bucket_set_up_by_the_function_works(app: Application) -> None:
    source, copy = app.aws.create_bucket("diagnosed-own", key=app.source_key), app.aws.create_bucket("diagnosed-own-copy", region=REPLICA_REGION)
    app.invoke({"Action": "Apply", "SourceBucket": source, "DestinationBucket": copy, "ReplicaKmsKeyArn": app.replica_key})
    diagnosis = app.invoke({"Action": "Diagnose", "SourceBucket": source})
    assert (diagnosis["Verdict"], failures(diagnosis)) == ("Works", []), diagnosis["Text"]


def test_deployment_without_the_rights_names_the_parameter(app: Application, setup: Setup) -> None:
    outputs = app.aws.deploy("undiagnosed", BUILT_TEMPLATE)
    try:
        without = Application(app.aws, outputs, app.source_key, app.replica_key, app.extendable_role)
        with pytest.raises(ClientError, match="`AllowDiagnose`"):
            without.invoke({"Action": "Diagnose", "SourceBucket": setup.name})
    finally:
        app.cloudformation.delete_stack(StackName="undiagnosed")
