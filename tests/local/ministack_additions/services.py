"""Corrections of single operations of Lambda, S3, CloudFormation, KMS and SQS."""

from __future__ import annotations

import json
import uuid

from ministack.core import responses
from ministack.services import kms, lambda_svc, s3, sqs
from ministack.services.cloudformation import provisioners

concurrency = lambda_svc._sqs_esm_concurrency
fetch_code = lambda_svc._fetch_code_from_s3
record_version = s3._record_object_version
describe_key = kms._describe_key
configure_bucket = provisioners._s3_apply_configurations


def install() -> None:
    lambda_svc._sqs_esm_concurrency = concurrency_as_number
    lambda_svc._fetch_code_from_s3 = fetch_code_in_region
    s3._record_object_version = record_replica_version
    provisioners._s3_apply_configurations = configure_and_encrypt_bucket
    kms._describe_key = describe_key_across_accounts
    sqs._HANDLERS["StartMessageMoveTask"] = start_message_move_task


def concurrency_as_number(esm, func_rec, config, queue=None):
    if scaling := esm.get("ScalingConfig"):
        scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
    return concurrency(esm, func_rec, config, queue)


def fetch_code_in_region(bucket, key, version_id=None):
    """Reads a function's code from a bucket of any account, but of the function's Region only."""
    region = responses.get_region()
    with responses.request_scope(s3._bucket_owner_account(bucket) or responses.get_account_id(), region):
        if s3._buckets.get(bucket, {}).get("region", region) != region:
            raise ValueError(f"S3 Error Code: PermanentRedirect. bucket `{bucket}` is not in {region}")
        return fetch_code(bucket, key, version_id)


def record_replica_version(bucket_name, key, prior_obj, obj, data):
    """Gives a replica its bucket's default key and the version id of its source object."""
    if obj.get("replication_status") == "REPLICA":
        obj["preserved_headers"].update(s3._bucket_default_sse_headers(bucket_name))
    version_id = record_version(bucket_name, key, prior_obj, obj, data)
    if not version_id or "_replica" not in obj:
        return version_id
    obj["version_id"] = s3._object_versions[bucket_name, key][-1]["version_id"] = obj["_replica"][1]
    return obj["version_id"]


def configure_and_encrypt_bucket(name, props, old_props=None):
    """Applies the default encryption of a stack's bucket too."""
    configure_bucket(name, props, old_props)
    for rule in props.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
        default = "".join(f"<{tag}>{text}</{tag}>" for tag, text in rule["ServerSideEncryptionByDefault"].items())
        s3._put_bucket_encryption(name, (
            "<ServerSideEncryptionConfiguration><Rule>"
            f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
            f"<BucketKeyEnabled>{str(rule.get('BucketKeyEnabled', False)).lower()}</BucketKeyEnabled>"
            "</Rule></ServerSideEncryptionConfiguration>").encode())


def describe_key_across_accounts(data):
    """Describes a key of another account if its policy allows the caller's account."""
    match str(data.get("KeyId")).split(":"):
        case ["arn", _, "kms", region, owner, _] if owner != (caller := responses.get_account_id()):
            with responses.request_scope(owner, region):
                policy = json.loads((kms._resolve_key(data["KeyId"]) or {}).get("Policy", '{"Statement": []}'))
                root = {"AWS": f"arn:aws:iam::{caller}:root"}
                if any(statement["Principal"] == root and statement["Action"] == "kms:DescribeKey" for statement in policy["Statement"]):
                    return describe_key(data)
            return responses.error_response_json("AccessDeniedException", "no policy of the key allows kms:DescribeKey", 400)
    return describe_key(data)


def start_message_move_task(data, _url):
    """Moves all messages of a dead-letter queue back to their queues, at once."""
    dead_letters = sqs._queue_by_arn(data["SourceArn"])
    if dead_letters is None:
        raise sqs._Err("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.")
    if not any(data["SourceArn"] in queue["attributes"].get("RedrivePolicy", "") for queue in sqs._queues.values()):
        raise sqs._Err("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
    # As on AWS, the task ends at the first message whose queue is unknown, and leaves that message and the rest.
    while dead_letters["messages"] and (source := dead_letters["messages"][0]["sys"].get("DeadLetterQueueSourceArn")):
        message = dead_letters["messages"].pop(0)
        sqs._act_send_message({"MessageBody": message["body"]}, sqs._queue_by_arn(source)["url"])
    return {"TaskHandle": str(uuid.uuid4())}
