"""Every request and invocation: recorded, answered from the records, checked as a callback, published as an event."""

from __future__ import annotations

import json

from ministack import app
from ministack.core import iam_actions, responses, router
from ministack.services import lambda_svc, s3
from ministack.services.cloudformation import custom_resource

from . import delayed_messages, requests_file
from .authorization import denial_of_additional_actions
from .cloudtrail import publish_bucket_event, user_identity
from .records import CALLBACK, RECORDS, callback_faults

RECORDED_SERVICES = {"s3", "iam", "kms", "sts"}

dispatch = app._dispatch_service_request
shortcuts = app._handle_post_body_shortcuts
execute = lambda_svc._execute_function_with_config_scope


def install() -> None:
    app._dispatch_service_request = dispatch_and_record
    app._handle_post_body_shortcuts = serve_records_and_check_callbacks
    lambda_svc._execute_function_with_config_scope = execute_and_record


async def dispatch_and_record(method, path, headers, body, query_params, request_id):
    params = app._routing_params(method, path, headers, body, query_params)
    service = router.detect_service(method, path, headers, params)
    if service not in RECORDED_SERVICES:
        return await dispatch(method, path, headers, body, query_params, request_id)
    region, account = responses.get_region(), responses.get_account_id()
    identity = user_identity(headers, query_params)
    resource = iam_actions.extract_resource_arn(service, method, path, headers, body, params, region, account)
    action = iam_actions.extract_iam_action(service, method, path, headers, body, params)
    before = s3._buckets.get(path.strip("/").partition("/")[0]) if service == "s3" else None
    response = denial_of_additional_actions(service, action, resource, headers, body, params, request_id) or await dispatch(
        method, path, headers, body, query_params, request_id)
    RECORDS.calls.append({"caller": identity["arn"], "resource": resource, "status": response[0], "action": action})
    if service == "s3":
        publish_bucket_event(method, path, body, query_params, before, response, identity, request_id)
    return response


async def serve_records_and_check_callbacks(method, path, headers, body, query_params, request_id):
    requests_file.record(method, path, headers, body, query_params)
    for name, record in RECORDS.published().items():
        if path == f"/_standin/{name}":
            return 200, {"Content-Type": "application/json"}, json.dumps(record).encode()
    if method == "POST" and path == "/_standin/delayed-messages":
        return 200, {"Content-Type": "application/json"}, json.dumps(delayed_messages.deliver(body.decode())).encode()
    if method == "PUT" and path.startswith(CALLBACK):
        token = path.removeprefix(CALLBACK)
        faults = callback_faults(RECORDS.requests.get(token), headers, body)
        RECORDS.replies.append({"Token": token, "Body": body.decode(errors="replace"), "Faults": faults})
        if faults:
            reason = f"callback: {'; '.join(faults)}"
            custom_resource.deliver_response(token, {"Status": "FAILED", "Reason": reason})
            return 400, {"Content-Type": "text/plain"}, reason.encode()
    return await shortcuts(method, path, headers, body, query_params, request_id)


def execute_and_record(func, event):
    RECORDS.invocations.append(sorted(event))
    if isinstance(event, dict) and CALLBACK in str(event.get("ResponseURL")):
        RECORDS.requests[event["ResponseURL"].partition(CALLBACK)[2].partition("?")[0]] = event
    return execute(func, event)
