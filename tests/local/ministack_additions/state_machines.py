"""Step Functions as the walk uses it: a distributed map in JSONata, and only what the state machine's role allows."""

from __future__ import annotations

import contextvars
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import stepfunctions

# The right that a task needs: the action, and the argument that names its resource.
TASK_ACTIONS = {"lambda:invoke": ("lambda:InvokeFunction", "FunctionName"), "aws-sdk:s3:listBuckets": ("s3:ListAllMyBuckets", None),
                "aws-sdk:iam:getAccountSummary": ("iam:GetAccountSummary", None)}

execute_task = stepfunctions._execute_task
invoke_resource = stepfunctions._invoke_resource
run_map = stepfunctions._run_distributed_map
run_child = stepfunctions._run_sub_machine
current_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")


def install() -> None:
    stepfunctions._execute_task = execute_task_in_context
    stepfunctions._invoke_resource = invoke_if_authorized
    stepfunctions._run_distributed_map = run_map_in_jsonata
    stepfunctions._run_sub_machine = run_child_unless_stopped
    stepfunctions._S3_OP_SPECS["ListBuckets"]["query_params"] = {
        "BucketRegion": "bucket-region", "ContinuationToken": "continuation-token", "MaxBuckets": "max-buckets"}


def authorize(execution, action, resource):
    """Raises `States.Permissions` if the role of the execution's state machine lacks the right."""
    role = stepfunctions._state_machines[execution["stateMachineArn"].partition("/")[0]]["roleArn"].rpartition("/")[2]
    account = responses.get_account_id()
    request = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/states", principal_type="AssumedRole",
        principal_account=account, action=action, resource_arn=resource, region=responses.get_region())
    if iam_evaluator.evaluate(request, iam_evaluator._gather_role_policies(role, account)).decision != "Allow":
        raise stepfunctions._ExecutionError("States.Permissions", f"`{role}` may not {action} on {resource}")


def execute_task_in_context(state_def, raw_input, execution, ctx):
    current_execution.set(execution)
    return execute_task(state_def, raw_input, execution, ctx)


def invoke_if_authorized(resource, input_data):
    action, named = TASK_ACTIONS[resource.partition(":states:::")[2]]
    authorize(current_execution.get(), action, input_data[named] if named else "*")
    result = invoke_resource(resource, input_data)
    if action == "iam:GetAccountSummary":
        # MiniStack answers with a list of entries, Step Functions with a map.
        return {"SummaryMap": {name: int(count) for name, count in (entry.values() for entry in result["SummaryMap"])}}
    return result


def run_map_in_jsonata(state_def, raw_input, effective, iterator, execution, ctx):
    authorize(execution, "states:StartExecution", execution["stateMachineArn"])
    items = stepfunctions._jsonata_state_field(state_def, "Items", "array", raw_input, ctx)
    items = in_batches(state_def["ItemBatcher"], items, raw_input, ctx)
    most = stepfunctions._jsonata_state_field(state_def, "MaxConcurrency", "number", raw_input, ctx)
    plain = {"MaxConcurrency": most, "ToleratedFailurePercentage": state_def["ToleratedFailurePercentage"], "End": True}
    result, _ = run_map(plain, raw_input, items, iterator, execution, ctx)
    # Output and assignments see the variables as they were when the state was entered.
    before = {**ctx, "variables": dict(ctx["variables"])}
    output = stepfunctions._apply_jsonata_output(state_def, raw_input, before, result=result, default=result)
    ctx["variables"] |= stepfunctions._apply_jsonata_template(state_def["Assign"], raw_input, before, result=result)
    return output, state_def["Next"]


def in_batches(batcher, items, raw_input, ctx):
    """The inputs of the children. Their counts are those of the map run, which AWS counts in items."""
    size = stepfunctions._jsonata_state_field(batcher, "MaxItemsPerBatch", "number", raw_input, ctx)
    shared = stepfunctions._apply_jsonata_template(batcher["BatchInput"], raw_input, ctx)
    return [{"BatchInput": shared, "Items": items[start:start + size]} for start in range(0, len(items), size)]


def run_child_unless_stopped(states, start_at, input_data, execution, ctx):
    parent = stepfunctions._executions[stepfunctions._map_runs[execution["mapRunArn"]]["executionArn"]]
    if parent["status"] != "RUNNING":
        raise stepfunctions._ExecutionError("States.Aborted", "the execution was stopped")
    return run_child(states, start_at, input_data, execution, ctx)
