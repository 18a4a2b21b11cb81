"""The private functions of MiniStack that are patched or called, with their parameters."""

from __future__ import annotations

import inspect

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import eventbridge, kms, lambda_svc, s3, sqs, stepfunctions
from ministack.services.cloudformation import custom_resource, provisioners

FUNCTIONS = [
    (app, "_dispatch_service_request", "method path headers body query_params request_id"),
    (app, "_handle_s3_control_request", "path method body query_params request_id headers"),
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
    (iam_evaluator, "_service_principal_matches", "principal service"),
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
    (s3, "_in_account", "account_id"),
    (s3, "_maybe_replicate", "bucket_name key obj data tags"),
    (s3, "_put_object", "bucket_name key body headers"),
    (s3, "_read_body", "bucket_name key obj"),
    (s3, "_replication_rule_for", "bucket_name key tags"),
    (s3, "_record_object_version", "bucket_name key prior_obj obj data"),
    (sqs, "_queue_by_arn", "arn"),
    (sqs, "_act_send_message", "data qurl"),
]


def unexpected() -> str | None:
    """The first function that is missing or has other parameters."""
    for module, name, parameters in FUNCTIONS:
        function = getattr(module, name, None)
        if function is None or list(inspect.signature(function).parameters) != parameters.split():
            return f"{module.__name__}.{name}({parameters})"
    return None
