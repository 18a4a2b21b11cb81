"""MiniStack, and what MiniStack leaves out that this project depends on.

Added to MiniStack, all in this one file:

* **CloudTrail's events.** After a change of a bucket, successful or refused, an "AWS API Call via CloudTrail" event is
  put on the default bus of the caller's account in the bucket's Region. The AWS CLI and the function's SDK raise them;
  buckets that a CloudFormation stack makes do not, nor does S3 Control's `TagResource`.
* **A strict custom-resource callback.** What CloudFormation would not understand is answered with 400 and fails the
  stack at once; MiniStack alone takes any body as success.
* **IAM's decisions as on AWS.** MiniStack checks `role/<name>` and `alias/<name>`, AWS checks `role/<path>/<name>` and
  `key/<id>`. MiniStack lacks the condition key `iam:PermissionsBoundary` and the request's tags of CreateBucket; it does not
  decide about CloudWatch's calls in CBOR; and it does not ask for `iam:TagRole` and `s3:TagResource` where a role or a bucket
  is made with tags, for `iam:PassRole` where a replication configuration names a role, nor for `s3:PutObjectTagging` and
  `kms:GenerateDataKey` where an object is written with tags or encrypted with a key.
* **A key of another account** can be described where its policy lets the caller's account.
* **A number for `MaximumConcurrency`.** A template parameter's value reaches MiniStack's queue poller as a string.
* **Replicas with the id of the version that they are of**, and with the key that their bucket encrypts with by default, if it has one: the
  buckets that the function creates have the replica key there. Elsewhere a replica keeps the source's key, as MiniStack leaves it.
* **The default encryption of a stack's buckets.** MiniStack leaves it out of the buckets that CloudFormation creates.
* **A function's code from a bucket of another account**, and from none of another Region.
* **SQS's `StartMessageMoveTask`**, at once and from a dead-letter queue to where its messages came from, nothing else.
* **Step Functions as the walk needs it.** `listBuckets` takes its page and its Region; a distributed map takes JSONata, and starts
  nothing more once its execution was stopped; a state machine does only what its role may. Retries wait a hundredth of their time.
* **A record** of S3, IAM, KMS and STS calls (`GET /_standin/calls`), of IAM's decisions about the calls of every service
  (`GET /_standin/decisions`), of the payloads' names of all invocations (`GET /_standin/invocations`) and of callback replies
  (`GET /_standin/replies`).

What a run against it does not prove: that S3 can use the keys (a replica has the source's key or its bucket's here), that the
replication role's rights suffice (S3 does not assume it here), what Lambda itself does as the function's role (reading the
queue, writing the log), trust policies, propagation delays and throttling, and Step Functions' limits (256 KiB, 25,000
events). Those are proved on the documents themselves, or not at all without AWS.
"""

from __future__ import annotations

import argparse
import contextvars
import importlib.metadata
import inspect
import json
import os
import re
import socket
import sys
import time
import uuid
from typing import Any

MINISTACK_VERSION = "1.5.33"

# CloudTrail's name for a change of a bucket, by method and sub-resource.
EVENT_NAMES = {
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
    ("PUT", "encryption"): "PutBucketEncryption",
    ("DELETE", "encryption"): "DeleteBucketEncryption",
    ("PUT", "tagging"): "PutBucketTagging",
    ("DELETE", "tagging"): "DeleteBucketTagging",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("PUT", "replication"): "PutBucketReplication",
    ("DELETE", "replication"): "DeleteBucketReplication",
}
# What AWS asks for as well when something is made with tags.
TAGGING = {"iam:CreateRole": "iam:TagRole", "s3:CreateBucket": "s3:TagResource"}
# What a task of a state machine needs: the action, and the argument that names its resource.
TASK_ACTIONS = {"lambda:invoke": ("lambda:InvokeFunction", "FunctionName"), "aws-sdk:s3:listBuckets": ("s3:ListAllMyBuckets", None)}
RECORDED_SERVICES = {"s3", "iam", "kms", "sts"}
CALLBACK = "/_ministack/cfn-response/"


def callback_faults(request: dict[str, Any] | None, headers: dict[str, str], body: bytes) -> list[str]:
    """Everything for which CloudFormation would not accept `body` as the answer to `request`, or to any when that is not known."""
    faults = []
    if headers.get("content-type"):
        faults.append(f"content type is `{headers['content-type']}`, not empty")
    if len(body) > 4096:
        faults.append(f"body has {len(body)} bytes, more than 4096")
    try:
        reply = json.loads(body)
    except ValueError:
        return [*faults, "body is not JSON"]
    if not isinstance(reply, dict):
        return [*faults, "body is not an object"]
    faults += [f"`{name}` is null" for name, value in reply.items() if value is None]
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if not reply.get(name) or (request and reply[name] != request[name]):
            faults.append(f"`{name}` is `{reply.get(name)}`, not `{(request or {}).get(name, 'that of the request')}`")
    if reply.get("Status") not in ("SUCCESS", "FAILED"):
        faults.append(f"`Status` is `{reply.get('Status')}`")
    if reply.get("Status") == "FAILED" and not reply.get("Reason"):
        faults.append("`Reason` is missing from a failure")
    physical_id = reply.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 1 <= len(physical_id.encode()) <= 1024:
        faults.append(f"`PhysicalResourceId` is `{physical_id}`, not a string of 1 to 1024 bytes")
    return faults


def install() -> None:
    """Puts the additions into the MiniStack of this process; exits if it is not the one they were written for."""
    found = importlib.metadata.version("ministack")
    if found != MINISTACK_VERSION:
        sys.exit(f"emulator: ministack `{MINISTACK_VERSION}` is needed, `{found}` is installed")
    import cbor2
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator, responses, router
    from ministack.services import eventbridge, iam, kms, lambda_svc, s3, sqs, stepfunctions
    from ministack.services.cloudformation import custom_resource, provisioners

    private = [
        (app, "_dispatch_service_request", "method path headers body query_params request_id"),
        (app, "_handle_post_body_shortcuts", "method path headers body query_params request_id"),
        (app, "_enforce_data_plane", "service iam_action headers query_params request_id resource_arn service_context"
                                     " auth_error_response named_resource"),
        (app, "_routing_params", "method path headers body query_params"),
        (eventbridge, "_put_events", "data allow_aws_source"),
        (lambda_svc, "_execute_function_with_config_scope", "func event"),
        (lambda_svc, "_sqs_esm_concurrency", "esm func_rec config queue"),
        (lambda_svc, "_fetch_code_from_s3", "bucket key version_id"),
        (s3, "_bucket_owner_account", "name"),
        (iam_actions, "extract_iam_action", "service method path headers body query_params"),
        (iam_actions, "extract_resource_arn", "service method path headers body query_params region account_id"),
        (iam_actions, "request_tag_context", "service iam_action body params"),
        (iam_evaluator, "enforce", "access_key_id iam_action service region resource_arn service_context"),
        (custom_resource, "deliver_response", "token response"),
        (kms, "_resolve_key", "key_id_or_arn"),
        (kms, "_describe_key", "data"),
        (responses, "request_scope", "account_id region"),
        (iam_evaluator, "_gather_role_policies", "role_name account_id"),
        (stepfunctions, "_execute_task", "state_def raw_input execution ctx"),
        (stepfunctions, "_invoke_resource", "resource input_data"),
        (stepfunctions, "_run_distributed_map", "state_def raw_input effective iterator execution ctx"),
        (stepfunctions, "_run_sub_machine", "states start_at input_data execution ctx"),
        (stepfunctions, "_jsonata_state_field", "state_def field expected raw_input ctx"),
        (stepfunctions, "_apply_jsonata_output", "state_def raw_input ctx result error_output default"),
        (stepfunctions, "_apply_state_assign", "state_def raw_input ctx result error_output"),
        (provisioners, "_s3_apply_configurations", "name props old_props"),
        (s3, "_put_bucket_encryption", "name body"),
        (s3, "_bucket_default_sse_headers", "bucket_name"),
        (s3, "_record_object_version", "bucket_name key prior_obj obj data"),
        (sqs, "_queue_by_arn", "arn"),
        (sqs, "_act_send_message", "data qurl"),
    ]
    for module, name, parameters in private:
        function = getattr(module, name, None)
        if function is None or list(inspect.signature(function).parameters) != parameters.split():
            sys.exit(f"emulator: `{module.__name__}.{name}({parameters})` is not what ministack `{found}` has")

    calls: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    replies: list[dict[str, Any]] = []
    invocations: list[list[str]] = []
    asked: dict[str, dict[str, Any]] = {}
    dispatch = app._dispatch_service_request
    shortcuts = app._handle_post_body_shortcuts
    execute = lambda_svc._execute_function_with_config_scope
    concurrency = lambda_svc._sqs_esm_concurrency
    fetch_code = lambda_svc._fetch_code_from_s3
    action_of = iam_actions.extract_iam_action
    resource_arn_of = iam_actions.extract_resource_arn
    request_tags_of = iam_actions.request_tag_context
    enforce = iam_evaluator.enforce
    execute_task = stepfunctions._execute_task
    invoke_resource = stepfunctions._invoke_resource
    run_map = stepfunctions._run_distributed_map
    run_child = stepfunctions._run_sub_machine
    acting: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")
    record_version = s3._record_object_version
    describe_key = kms._describe_key
    configure_bucket = provisioners._s3_apply_configurations

    def user_identity(headers: dict[str, str], query: dict[str, Any]) -> dict[str, Any]:
        access_key = router.extract_access_key_id(headers, query)
        caller = iam_evaluator.resolve_caller_identity(access_key) or {"userArn": "", "userId": ""}
        account = responses.get_account_id()
        identity = {"principalId": caller["userId"], "arn": caller["userArn"], "accountId": account}
        if ":assumed-role/" not in caller["userArn"]:
            return {"type": "Root" if caller["userArn"].endswith(":root") else "IAMUser", **identity}
        name = caller["userArn"].split("/")[-2]
        role = iam._roles.get(name) or {"Arn": f"arn:aws:iam::{account}:role/{name}"}
        issuer = {"type": "Role", "arn": role["Arn"], "accountId": account, "userName": name}
        return {"type": "AssumedRole", **identity, "sessionContext": {"sessionIssuer": issuer, "attributes": {}}}

    def publish(event_name: str, bucket: str, parameters: dict[str, Any], region: str, answer: tuple,
                identity: dict[str, Any], request_id: str) -> None:
        account = responses.get_account_id()
        detail = {
            "eventVersion": "1.11", "userIdentity": identity,
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "eventSource": "s3.amazonaws.com", "eventName": event_name, "awsRegion": region,
            "sourceIPAddress": "203.0.113.44", "userAgent": "[local]",
            "requestParameters": {**parameters, "bucketName": bucket, "Host": f"{bucket}.s3.{region}.amazonaws.com"},
            "responseElements": None, "requestID": request_id, "eventID": str(uuid.uuid4()), "readOnly": False,
            "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": account,
            "eventCategory": "Management",
        }
        status, _, body = answer
        if status >= 300:
            code = re.search(rb"<Code>([^<]+)</Code>", body)
            detail["errorCode"] = code.group(1).decode() if code else str(status)
        entry = {"Source": "aws.s3", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(detail)}
        with responses.request_scope(account, region):
            eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    def refusal_of_more(service, action, resource, headers, body, params, request_id):
        """The answer when AWS asks for more than one action, and the caller may not do one of them; else `None`."""
        keys = iam_actions.request_tag_context(service, action or "", body, params)
        role = re.search(rb"<Role>([^<]+)</Role>", body) if action == "s3:PutReplicationConfiguration" else None
        more = []
        if action in TAGGING and keys.get("aws:TagKeys"):
            more.append((TAGGING[action], resource, keys))
        if role:
            more.append(("iam:PassRole", role.group(1).decode(), {"iam:PassedToService": "s3.amazonaws.com"}))
        if action == "s3:PutObject":
            bucket = resource.rpartition(":")[2].partition("/")[0]
            key = {**s3._bucket_default_sse_headers(bucket), **headers}.get("x-amz-server-side-encryption-aws-kms-key-id")
            if headers.get("x-amz-tagging"):
                more.append(("s3:PutObjectTagging", resource, {}))
            if key:
                more.append(("kms:GenerateDataKey", key, {"kms:ViaService": f"s3.{responses.get_region()}.amazonaws.com"}))
        if not more:
            return None
        refusals = (app._enforce_data_plane(service, asked, headers, params, request_id, resource_arn=arn, service_context=context,
                                            named_resource=arn) for asked, arn, context in ((action, resource, keys), *more))
        return next(filter(None, refusals), None)

    async def dispatch_and_tell(method, path, headers, body, query_params, request_id):
        params = app._routing_params(method, path, headers, body, query_params)
        service = router.detect_service(method, path, headers, params)
        if service not in RECORDED_SERVICES:
            return await dispatch(method, path, headers, body, query_params, request_id)
        region, account = responses.get_region(), responses.get_account_id()
        identity = user_identity(headers, query_params)
        resource = iam_actions.extract_resource_arn(service, method, path, headers, body, params, region, account)
        bucket, _, key = path.strip("/").partition("/") if service == "s3" else ("", "", "")
        before = s3._buckets.get(bucket)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, params)
        answer = refusal_of_more(service, action, resource, headers, body, params, request_id) or await dispatch(
            method, path, headers, body, query_params, request_id)
        calls.append({"caller": identity["arn"], "resource": resource, "status": answer[0], "action": action})
        subresource = next((name for name in query_params if name != "x-id"), "")
        event_name = EVENT_NAMES.get((method, subresource))
        if bucket and not key and event_name:
            home = (before or s3._buckets.get(bucket) or {}).get("region") or region
            constraint = re.search(rb"<LocationConstraint>([^<]+)</LocationConstraint>", body)
            parameters: dict[str, Any] = {subresource: ""} if subresource else {}
            if constraint:
                parameters["CreateBucketConfiguration"] = {"LocationConstraint": constraint.group(1).decode()}
            publish(event_name, bucket, parameters, home, answer, identity, request_id)
        return answer

    async def shortcuts_and_record(method, path, headers, body, query_params, request_id):
        records = (("calls", calls), ("decisions", decisions), ("invocations", invocations), ("replies", replies))
        for name, record in records:
            if path == f"/_standin/{name}":
                return 200, {"Content-Type": "application/json"}, json.dumps(record).encode()
        if method == "PUT" and path.startswith(CALLBACK):
            token = path.removeprefix(CALLBACK)
            faults = callback_faults(asked.get(token), headers, body)
            replies.append({"Token": token, "Body": body.decode(errors="replace"), "Faults": faults})
            if faults:
                reason = f"callback: {'; '.join(faults)}"
                custom_resource.deliver_response(token, {"Status": "FAILED", "Reason": reason})
                return 400, {"Content-Type": "text/plain"}, reason.encode()
        return await shortcuts(method, path, headers, body, query_params, request_id)

    def execute_and_remember(func, event):
        invocations.append(sorted(event))
        if isinstance(event, dict) and CALLBACK in str(event.get("ResponseURL")):
            asked[event["ResponseURL"].partition(CALLBACK)[2].partition("?")[0]] = event
        return execute(func, event)

    def concurrency_as_number(esm, func_rec, config, queue=None):
        if scaling := esm.get("ScalingConfig"):
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
        return concurrency(esm, func_rec, config, queue)

    def fetch_code_of_region(bucket, key, version_id=None):
        region = responses.get_region()
        with responses.request_scope(s3._bucket_owner_account(bucket) or responses.get_account_id(), region):
            if s3._buckets.get(bucket, {}).get("region", region) != region:
                raise ValueError(f"S3 Error Code: PermanentRedirect. bucket `{bucket}` is not in {region}")
            return fetch_code(bucket, key, version_id)

    def action_in_cbor_too(service, method, path, headers, body, query_params):
        operation = re.fullmatch("/service/GraniteServiceVersion20100801/operation/([A-Za-z]+)", path)
        return f"cloudwatch:{operation.group(1)}" if operation else action_of(service, method, path, headers, body, query_params)

    def resource_arn_as_on_aws(service, method, path, headers, body, query_params, region, account_id):
        if service == "monitoring" and "/operation/" in path:
            asked = cbor2.loads(body)
            name = asked.get("AlarmName") or next(iter(asked.get("AlarmNames", [])), "*") if "Describe" not in path else "*"
            return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{name}"
        arn = resource_arn_of(service, method, path, headers, body, query_params, region, account_id)
        if service == "kms" and ":alias/" in arn:
            return (kms._resolve_key(arn) or {"Arn": arn.replace(":alias/", ":key/")})["Arn"]
        if service == "iam" and ":role/" in arn:
            if query_params.get("Action") == ["CreateRole"]:
                return arn.replace(":role/", f":role{query_params.get('Path', ['/'])[0]}")
            return (iam._roles.get(arn.rpartition("/")[2]) or {"Arn": arn})["Arn"]
        return arn

    def condition_keys_as_on_aws(service, iam_action, body, params):
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
        decisions.append(
            {"caller": caller["userArn"], "action": iam_action, "resource": resource_arn, "allowed": denied is None})
        return denied

    def authorize(execution, action, resource):
        role = stepfunctions._state_machines[execution["stateMachineArn"].partition("/")[0]]["roleArn"].rpartition("/")[2]
        account = responses.get_account_id()
        request = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/states", principal_type="AssumedRole",
            principal_account=account, action=action, resource_arn=resource, region=responses.get_region())
        if iam_evaluator.evaluate(request, iam_evaluator._gather_role_policies(role, account)).decision != "Allow":
            raise stepfunctions._ExecutionError("States.Permissions", f"`{role}` may not {action} on {resource}")

    def execute_task_as_role(state_def, raw_input, execution, ctx):
        acting.set(execution)
        return execute_task(state_def, raw_input, execution, ctx)

    def invoke_if_authorized(resource, input_data):
        action, named = TASK_ACTIONS[resource.partition(":states:::")[2]]
        authorize(acting.get(), action, input_data[named] if named else "*")
        return invoke_resource(resource, input_data)

    def run_map_in_jsonata(state_def, raw_input, effective, iterator, execution, ctx):
        authorize(execution, "states:StartExecution", execution["stateMachineArn"])
        items = stepfunctions._jsonata_state_field(state_def, "Items", "array", raw_input, ctx)
        most = stepfunctions._jsonata_state_field(state_def, "MaxConcurrency", "number", raw_input, ctx)
        plain = {"MaxConcurrency": most, "ToleratedFailurePercentage": state_def["ToleratedFailurePercentage"], "End": True}
        result, _ = run_map(plain, raw_input, items, iterator, execution, ctx)
        stepfunctions._apply_state_assign(state_def, raw_input, ctx, result=result)
        return stepfunctions._apply_jsonata_output(state_def, raw_input, ctx, result=result, default=result), state_def["Next"]

    def run_child_unless_stopped(states, start_at, input_data, execution, ctx):
        parent = stepfunctions._executions[stepfunctions._map_runs[execution["mapRunArn"]]["executionArn"]]
        if parent["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("States.Aborted", "the execution was stopped")
        return run_child(states, start_at, input_data, execution, ctx)

    def configure_bucket_and_encrypt(name, props, old_props=None):
        configure_bucket(name, props, old_props)
        for rule in props.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
            default = "".join(f"<{tag}>{text}</{tag}>" for tag, text in rule["ServerSideEncryptionByDefault"].items())
            s3._put_bucket_encryption(name, (
                "<ServerSideEncryptionConfiguration><Rule>"
                f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
                f"<BucketKeyEnabled>{str(rule.get('BucketKeyEnabled', False)).lower()}</BucketKeyEnabled>"
                "</Rule></ServerSideEncryptionConfiguration>").encode())

    def record_version_as_on_aws(bucket_name, key, prior_obj, obj, data):
        if obj.get("replication_status") == "REPLICA":
            obj["preserved_headers"].update(s3._bucket_default_sse_headers(bucket_name))
        version_id = record_version(bucket_name, key, prior_obj, obj, data)
        if not version_id or "_replica" not in obj:
            return version_id
        obj["version_id"] = s3._object_versions[bucket_name, key][-1]["version_id"] = obj["_replica"][1]
        return obj["version_id"]

    def describe_key_of_its_account(data):
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
        dead_letters = sqs._queue_by_arn(data["SourceArn"])
        if dead_letters is None:
            raise sqs._Err("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.")
        if not any(data["SourceArn"] in queue["attributes"].get("RedrivePolicy", "") for queue in sqs._queues.values()):
            raise sqs._Err("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        # AWS's task ends at the first message of which it does not know the queue, and leaves it and the rest where they are.
        while dead_letters["messages"] and (source := dead_letters["messages"][0]["sys"].get("DeadLetterQueueSourceArn")):
            message = dead_letters["messages"].pop(0)
            sqs._act_send_message({"MessageBody": message["body"]}, sqs._queue_by_arn(source)["url"])
        return {"TaskHandle": str(uuid.uuid4())}

    app._dispatch_service_request = dispatch_and_tell
    app._handle_post_body_shortcuts = shortcuts_and_record
    lambda_svc._execute_function_with_config_scope = execute_and_remember
    lambda_svc._sqs_esm_concurrency = concurrency_as_number
    lambda_svc._fetch_code_from_s3 = fetch_code_of_region
    iam_actions.extract_iam_action = action_in_cbor_too
    iam_actions.extract_resource_arn = resource_arn_as_on_aws
    iam_actions.request_tag_context = condition_keys_as_on_aws
    iam_evaluator.enforce = enforce_and_record
    stepfunctions._execute_task = execute_task_as_role
    stepfunctions._invoke_resource = invoke_if_authorized
    stepfunctions._run_distributed_map = run_map_in_jsonata
    stepfunctions._run_sub_machine = run_child_unless_stopped
    stepfunctions._S3_OP_SPECS["ListBuckets"]["query_params"] = {
        "BucketRegion": "bucket-region", "ContinuationToken": "continuation-token", "MaxBuckets": "max-buckets"}
    s3._record_object_version = record_version_as_on_aws
    kms._describe_key = describe_key_of_its_account
    provisioners._s3_apply_configurations = configure_bucket_and_encrypt
    sqs._HANDLERS["StartMessageMoveTask"] = start_message_move_task


def main() -> None:
    """Serves on 127.0.0.1, after one line with the endpoint on standard output."""
    parser = argparse.ArgumentParser(description="a local AWS, without network, for tests and the demonstration")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    requested = parser.parse_args().port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", requested))
        except (OSError, OverflowError) as error:
            sys.exit(f"port `{requested}` cannot be used: {error.args[-1].lower()}")
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    # The functions inherit this environment: nothing of the user's may be in it, least of all real credentials.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    os.environ.clear()
    os.environ.update(kept, AUTH="true", BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port), AWS_ENDPOINT_URL=endpoint,
                      SFN_WAIT_SCALE="0.01")
    install()
    print(endpoint, flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads the pipe after that line
    sys.argv = sys.argv[:1]
    from ministack import app

    app.main()


if __name__ == "__main__":
    main()
