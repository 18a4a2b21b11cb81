"""S3's documented rules for a replication configuration, as botocore names its members. Written apart from the product.

From the pages "Replication configuration file elements", "PutBucketReplication", "Using S3 Replication Time Control" and "Replicating
encrypted objects" of the S3 documentation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

STORAGE_CLASSES = {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE",
                   "OUTPOSTS"}


def configuration_faults(configuration: dict[str, Any]) -> Iterator[str]:
    """What S3 would refuse, or would accept and then not replicate."""
    rules = configuration.get("Rules", [])
    if not 1 <= len(rules) <= 1000:
        yield f"{len(rules)} rules, not 1 to 1,000"
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", configuration.get("Role", "")):
        yield f"`{configuration.get('Role')}` is no ARN of a role"
    if len({"Filter" in rule for rule in rules}) > 1:
        yield "rules with `Filter` and rules without: the two versions cannot be mixed"
    for name in ("ID", "Priority"):
        counts = Counter(rule[name] for rule in rules if name in rule)
        yield from (f"{name} `{value}` is given {count} times" for value, count in counts.items() if count > 1)
    for rule in rules:
        yield from (f"rule `{rule.get('ID')}`: {fault}" for fault in rule_faults(rule))


def rule_faults(rule: dict[str, Any]) -> Iterator[str]:
    if len(rule.get("ID", "")) > 255:
        yield "the id is longer than 255 characters"
    if "Filter" in rule:
        yield from (f"`{name}` is required with `Filter`" for name in ("Priority", "DeleteMarkerReplication") if name not in rule)
        if "Prefix" in rule:
            yield "`Prefix` beside `Filter`"
        if not 0 <= rule.get("Priority", 0) <= 2**31 - 1:
            yield f"priority {rule['Priority']}"
        yield from filter_faults(rule["Filter"], rule.get("DeleteMarkerReplication", {}).get("Status"))
    else:
        if "Prefix" not in rule:
            yield "neither `Filter` nor `Prefix`"
        yield from (f"`{name}` without `Filter`" for name in ("Priority", "DeleteMarkerReplication") if name in rule)
        if "ReplicaModifications" in rule.get("SourceSelectionCriteria", {}):
            yield "`ReplicaModifications` without `Filter`"
    yield from destination_faults(rule["Destination"])
    yield from encryption_faults(rule)


def filter_faults(condition: dict[str, Any], delete_markers: str | None) -> Iterator[str]:
    if len(condition) > 1:
        yield f"`Filter` has {' and '.join(condition)}; several conditions belong into `And`"
    both = condition.get("And", {})
    tags = [*both.get("Tags", []), *([condition["Tag"]] if "Tag" in condition else [])]
    if "And" in condition and len(both.get("Tags", [])) + len(both.keys() - {"Tags"}) < 2:
        yield "`And` has fewer than two conditions"
    if "And" in condition and not both.get("Tags") and "Not" not in both:
        yield "`And` has no tag"
    if len({tag["Key"] for tag in tags}) < len(tags):
        yield "a tag's key is given twice"
    for tag in tags:
        if not 1 <= len(tag["Key"]) <= 128 or len(tag["Value"]) > 256 or tag["Key"].startswith("aws:"):
            yield f"tag `{tag['Key']}`"
    if tags and delete_markers != "Disabled":
        yield "delete markers cannot be replicated by a rule with tags"
    prefix = condition.get("Prefix", both.get("Prefix", ""))
    if len(prefix.encode()) > 1024:
        yield "the prefix is longer than 1,024 bytes"


def destination_faults(destination: dict[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", destination["Bucket"]):
        yield f"destination `{destination['Bucket']}` is no ARN of a bucket"
    if "Account" in destination and not re.fullmatch(r"\d{12}", destination["Account"]):
        yield f"account `{destination['Account']}`"
    if "AccessControlTranslation" in destination and "Account" not in destination:
        yield "`AccessControlTranslation` without `Account`"
    if destination.get("StorageClass", "STANDARD") not in STORAGE_CLASSES:
        yield f"storage class `{destination['StorageClass']}` cannot be replicated into"
    time, metrics = destination.get("ReplicationTime"), destination.get("Metrics")
    if time and time["Time"].get("Minutes") != 15:
        yield f"`ReplicationTime` of {time['Time'].get('Minutes')} minutes, not 15"
    if metrics and metrics.get("EventThreshold", {"Minutes": 15}).get("Minutes") != 15:
        yield f"`EventThreshold` of {metrics['EventThreshold'].get('Minutes')} minutes, not 15"
    if time and time["Status"] == "Enabled" and (not metrics or metrics["Status"] != "Enabled" or "EventThreshold" not in metrics):
        yield "`ReplicationTime` without `Metrics` and its `EventThreshold`"


def encryption_faults(rule: dict[str, Any]) -> Iterator[str]:
    criteria, encryption = rule.get("SourceSelectionCriteria"), rule["Destination"].get("EncryptionConfiguration")
    selects_kms = (criteria or {}).get("SseKmsEncryptedObjects", {}).get("Status") == "Enabled"
    if criteria is not None and "SseKmsEncryptedObjects" not in criteria:
        yield "`SourceSelectionCriteria` without `SseKmsEncryptedObjects`"
    if selects_kms and not encryption:
        yield "KMS-encrypted objects are selected, but no replica key is given"
    if encryption and not selects_kms:
        yield "a replica key is given, but KMS-encrypted objects are not selected"
    key = (encryption or {}).get("ReplicaKmsKeyID")
    if key is not None and not re.fullmatch(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[\w/-]+", key):
        yield f"replica key `{key}` is no ARN of a key"
