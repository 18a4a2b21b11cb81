"""The oracle finds what is wrong with requests, and nothing in those of the Rust tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judged_requests import WIRE_REQUESTS, judge, run_oracle

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DESTINATION = "<Destination><Bucket>arn:aws:s3:::copy</Bucket></Destination>"
DELETE_MARKERS = "<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>"
RULE = f"<Rule><ID>a</ID><Priority>1</Priority><Filter/><Status>Enabled</Status>{DESTINATION}{DELETE_MARKERS}</Rule>"
ENCRYPTION = ("<EncryptionConfiguration><ReplicaKmsKeyID>arn:aws:kms:us-west-2:111122223333:key/k</ReplicaKmsKeyID></EncryptionConfiguration>")
SELECTION = "<SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects></SourceSelectionCriteria>"


def request(method: str, uri: str, service: str, body: str = "", **headers: str) -> dict[str, Any]:
    credential = f"AWS4-HMAC-SHA256 Credential=AKID/20261125/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"method": method, "uri": uri, "headers": {"authorization": credential, **named}, "body": body.encode().hex()}


def replication(rules: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    body = (f'<ReplicationConfiguration xmlns="{namespace}"><Role>arn:aws:iam::111122223333:role/r</Role>{rules}</ReplicationConfiguration>')
    return request("PUT", "https://orders.s3.us-east-1.amazonaws.com/?replication", "s3", body)


def iam(form: str) -> dict[str, Any]:
    return request("POST", "https://iam.amazonaws.com/", "iam", form)


def changed(old: str, new: str) -> dict[str, Any]:
    assert old in RULE
    return replication(RULE.replace(old, new))


ENABLED_METRICS = "<Metrics><Status>Enabled</Status></Metrics>"
TIME_CONTROL = "<ReplicationTime><Status>Enabled</Status><Time><Minutes>30</Minutes></Time></ReplicationTime>"
TAG = "<Tag><Key>k</Key><Value>v</Value></Tag>"

WRONG_REQUESTS = {
    "`Sort` is not in the model": changed("<Priority>", "<Sort>1</Sort><Priority>"),
    "`Status` is missing": changed("<Status>Enabled</Status><Dest", "<Dest"),
    "`On` is none of Enabled, Disabled": changed("<Status>Enabled", "<Status>On"),
    "`high` is no integer": changed("<Priority>1", "<Priority>high"),
    "is not of `http://s3.amazonaws.com/doc/2006-03-01/`": replication(RULE, "urn:other"),
    "the body's root is `Replication`": {**replication(""), "body": b"<Replication/>".hex()},
    "no operation of s3 fits": request("PATCH", "https://orders.s3.us-east-1.amazonaws.com/?replication", "s3"),
    "header `x-amz-owner` is not in the model": request("GET", "https://orders.s3.us-east-1.amazonaws.com/?replication", "s3", x_amz_owner="1"),
    "query key `page` is not in the model": request("GET", "https://s3.us-east-1.amazonaws.com/?page=2", "s3"),
    "`x-id` is `GetObject`": request("GET", "https://s3.us-east-1.amazonaws.com/?x-id=GetObject", "s3"),
    "which GetBucketReplication does not take": request("GET", "https://orders.s3.us-east-1.amazonaws.com/?replication", "s3", "text"),
    "`GetRoles` is no operation of iam": iam("Action=GetRoles&Version=2010-05-08"),
    "`RoleName` is missing": iam("Action=GetRole&Version=2010-05-08"),
    "`Name` is not in the model": iam("Action=GetRole&Version=2010-05-08&RoleName=r&Name=r"),
    "65 is not within 1 and 64": iam(f"Action=GetRole&Version=2010-05-08&RoleName={'r' * 65}"),
    "does not match": iam("Action=GetRole&Version=2010-05-08&RoleName=a%20b"),
    "version `2010`": iam("Action=GetRole&Version=2010&RoleName=r"),
    "`KeyIds` is not in the model": request("POST", "https://kms.us-east-1.amazonaws.com/", "kms", '{"KeyId": "k", "KeyIds": []}',
                                            x_amz_target="TrentService.DescribeKey"),
    "no signature for a known service": request("GET", "https://ec2.us-east-1.amazonaws.com/", "ec2"),
    "content type `text/plain`": request("PUT", "https://answers.s3.amazonaws.com/?X-Amz-Signature=x", "s3", content_type="text/plain"),
    "`Rules` is missing": replication(""),
    "1001 rules": replication("".join(RULE.replace("<ID>a", f"<ID>{index}").replace("<Priority>1", f"<Priority>{index}")
                                      for index in range(1001))),
    "ID `a` is given 2 times": replication(RULE + RULE.replace("<Priority>1", "<Priority>2")),
    "Priority `1` is given 2 times": replication(RULE + RULE.replace("<ID>a", "<ID>b")),
    "cannot be mixed": replication(RULE + f"<Rule><Prefix/><Status>Enabled</Status>{DESTINATION}</Rule>"),
    "`Priority` is required with `Filter`": changed("<Priority>1</Priority>", ""),
    "`DeleteMarkerReplication` is required with `Filter`": changed(DELETE_MARKERS, ""),
    "longer than 255 characters": changed("<ID>a", f"<ID>{'a' * 256}"),
    "longer than 1,024 bytes": changed("<Filter/>", f"<Filter><Prefix>{'a' * 1025}</Prefix></Filter>"),
    "`Filter` has Prefix and Tag": changed("<Filter/>", f"<Filter><Prefix>p</Prefix>{TAG}</Filter>"),
    "`And` has fewer than two conditions": changed("<Filter/>", f"<Filter><And>{TAG}</And></Filter>"),
    "a tag's key is given twice": changed("<Filter/>", f"<Filter><And>{TAG}{TAG}</And></Filter>"),
    "cannot be replicated by a rule with tags": replication(RULE.replace("<Filter/>", f"<Filter>{TAG}</Filter>").replace("Disabled", "Enabled")),
    "is no ARN of a bucket": changed("arn:aws:s3:::copy", "copy"),
    "`AccessControlTranslation` without `Account`": changed(
        "</Destination>", "<AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation></Destination>"),
    "cannot be replicated into": changed("</Destination>", "<StorageClass>SNOW</StorageClass></Destination>"),
    "of 30 minutes, not 15": changed("</Destination>", f"{TIME_CONTROL}{ENABLED_METRICS}</Destination>"),
    "without `Metrics` and its `EventThreshold`": changed("</Destination>", f"{TIME_CONTROL.replace('30', '15')}{ENABLED_METRICS}</Destination>"),
    "without `SseKmsEncryptedObjects`": changed("<Destination>", "<SourceSelectionCriteria/><Destination>"),
    "no replica key is given": changed("<Destination>", f"{SELECTION}<Destination>"),
    "KMS-encrypted objects are not selected": changed("</Destination>", f"{ENCRYPTION}</Destination>"),
    "is no ARN of a key": replication(RULE.replace("<Destination>", f"{SELECTION}<Destination>").replace(
        "</Destination>", f"{ENCRYPTION.replace('arn:aws:kms:us-west-2:111122223333:key/k', 'alias/dr')}</Destination>")),
}


@pytest.fixture
def faults(tmp_path: Path) -> Any:
    """The faults that the oracle finds in requests."""
    def found(*requests: dict[str, Any]) -> list[str]:
        file = tmp_path / "requests.jsonl"
        file.write_text("".join(json.dumps(request) + "\n" for request in requests))
        return run_oracle(file)["Faults"]
    return found


def test_oracle_finds_nothing_in_valid_requests(faults: Any) -> None:
    encrypted = RULE.replace("<Destination>", f"{SELECTION}<Destination>").replace("</Destination>", f"{ENCRYPTION}</Destination>")
    assert faults(replication(RULE), replication(encrypted), iam("Action=GetRole&Version=2010-05-08&RoleName=s3-crr-orders")) == []


def test_oracle_finds_each_fault(faults: Any) -> None:
    found = faults(*WRONG_REQUESTS.values())
    missed = [expected for expected in WRONG_REQUESTS if not any(expected in fault for fault in found)]
    assert missed == [], found


def test_requests_of_the_rust_tests_fit_the_models() -> None:
    assert WIRE_REQUESTS.exists(), f"`{WIRE_REQUESTS}` is missing: `cargo test` writes it"
    judgement = judge("Rust tests", WIRE_REQUESTS)
    assert judgement["Faults"] == []
    heads = judgement["Requests"]["s3:HeadBucket"]
    assert heads > 0
    assert judgement["WithOwner"]["s3:HeadBucket"] == heads
    # A run of a single Rust test would leave a file with few requests.
    assert len(judgement["Requests"]) >= 45, judgement["Requests"]
    assert judgement["Requests"]["s3:PutBucketReplication"] >= 10
