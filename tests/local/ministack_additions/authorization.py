"""IAM decisions as on AWS: resource ARNs, condition keys, and actions that AWS checks in addition. Records every decision."""

from __future__ import annotations

import re

import cbor2
from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import iam, kms, s3

from .records import RECORDS

# The action that AWS requires in addition to create something with tags.
TAGGING = {"iam:CreateRole": "iam:TagRole", "s3:CreateBucket": "s3:TagResource"}

action_of = iam_actions.extract_iam_action
resource_arn_of = iam_actions.extract_resource_arn
request_tags_of = iam_actions.request_tag_context
enforce = iam_evaluator.enforce


def install() -> None:
    iam_actions.extract_iam_action = extract_action
    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = condition_keys
    iam_evaluator.enforce = enforce_and_record


def extract_action(service, method, path, headers, body, query_params):
    """Recognizes CloudWatch's operations in CBOR too."""
    operation = re.fullmatch("/service/GraniteServiceVersion20100801/operation/([A-Za-z]+)", path)
    return f"cloudwatch:{operation.group(1)}" if operation else action_of(service, method, path, headers, body, query_params)


def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    """ARNs of roles with their path, of keys in place of aliases, and of alarms."""
    if service == "monitoring" and "/operation/" in path:
        request = cbor2.loads(body)
        name = request.get("AlarmName") or next(iter(request.get("AlarmNames", [])), "*") if "Describe" not in path else "*"
        return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{name}"
    arn = resource_arn_of(service, method, path, headers, body, query_params, region, account_id)
    if service == "kms" and ":alias/" in arn:
        return (kms._resolve_key(arn) or {"Arn": arn.replace(":alias/", ":key/")})["Arn"]
    if service == "iam" and ":role/" in arn:
        if query_params.get("Action") == ["CreateRole"]:
            return arn.replace(":role/", f":role{query_params.get('Path', ['/'])[0]}")
        return (iam._roles.get(arn.rpartition("/")[2]) or {"Arn": arn})["Arn"]
    return arn


def condition_keys(service, iam_action, body, params):
    """Adds the tags of a new bucket and the permissions boundary of a role."""
    keys = request_tags_of(service, iam_action, body, params)
    if iam_action == "s3:CreateBucket":
        tags = {key.decode(): value.decode() for key, value in re.findall(rb"<Key>([^<]+)</Key><Value>([^<]*)</Value>", body)}
        keys |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        keys |= {"aws:TagKeys": list(tags)} if tags else {}
    if service == "iam":
        role = iam._roles.get(params.get("RoleName", [""])[0]) or {}
        boundary = params.get("PermissionsBoundary", [role.get("PermissionsBoundary")])[0]
        keys |= {"iam:PermissionsBoundary": boundary} if boundary else {}
    return keys


def enforce_and_record(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
    caller = iam_evaluator.resolve_caller_identity(access_key_id) or {"userArn": ""}
    RECORDS.decisions.append(
        {"caller": caller["userArn"], "action": iam_action, "resource": resource_arn, "allowed": denied is None})
    return denied


def denial_of_additional_actions(service, action, resource, headers, body, params, request_id):
    """The error response if AWS requires several actions and the caller lacks the right to one of them; else `None`."""
    keys = iam_actions.request_tag_context(service, action or "", body, params)
    additional = list(additional_actions(action, resource, headers, body, keys))
    if not additional:
        return None
    denials = (app._enforce_data_plane(service, each, headers, params, request_id, resource_arn=arn, service_context=context,
                                       named_resource=arn) for each, arn, context in ((action, resource, keys), *additional))
    return next(filter(None, denials), None)


def additional_actions(action, resource, headers, body, keys):
    """The actions that AWS checks besides the call's own, each with its resource and condition keys."""
    if action in TAGGING and keys.get("aws:TagKeys"):
        yield TAGGING[action], resource, keys
    if action == "s3:PutReplicationConfiguration" and (role := re.search(rb"<Role>([^<]+)</Role>", body)):
        yield "iam:PassRole", role.group(1).decode(), {"iam:PassedToService": "s3.amazonaws.com"}
    if action == "s3:PutObject":
        bucket = resource.rpartition(":")[2].partition("/")[0]
        key = {**s3._bucket_default_sse_headers(bucket), **headers}.get("x-amz-server-side-encryption-aws-kms-key-id")
        if headers.get("x-amz-tagging"):
            yield "s3:PutObjectTagging", resource, {}
        if key:
            yield "kms:GenerateDataKey", key, {"kms:ViaService": f"s3.{responses.get_region()}.amazonaws.com"}
