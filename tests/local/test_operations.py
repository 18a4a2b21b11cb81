"""Operating the application: alarms, the dashboard, dead letters and failed requests."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from conftest import Application
from local_aws import REGION, REPLICA_REGION, ROOT, ClientError, wait_until

METRICS = {"Configured", "Unchanged", "Verified", "Pending", "Removed", "Planned", "Skipped", "Refused", "Failed", "Duration",
           "DiagnosedWorks", "DiagnosedFails", "DiagnosedUnknown", "CaughtUp", "Unexamined", "Unreplicated", "JobsStarted"}


def alarms(app: Application) -> dict[str, dict[str, Any]]:
    """The stack's alarms, by their names in the template."""
    found = {alarm["AlarmName"]: alarm for alarm in app.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    resources = app.cloudformation.describe_stack_resources(StackName="app")["StackResources"]
    return {resource["LogicalResourceId"]: found[resource["PhysicalResourceId"]]
            for resource in resources if resource["ResourceType"] == "AWS::CloudWatch::Alarm"}


def queued_messages(app: Application, queue: str) -> int:
    attributes = app.aws.client("sqs").get_queue_attributes(
        QueueUrl=app.outputs[queue], AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def test_stack_alarms_watch_the_queues_and_the_function(app: Application) -> None:
    """The emulator does not publish these metrics, so no alarm is triggered here."""
    watched = {name: (alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"][0]["Value"], alarm["Threshold"])
               for name, alarm in alarms(app).items()}
    queue = {name: app.outputs[name].rpartition("/")[2] for name in ("QueueUrl", "DeadLetterQueueUrl", "FailedRequestQueueUrl")}

    assert watched == {
        "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue["DeadLetterQueueUrl"], 0),
        "FailedRequestsAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue["FailedRequestQueueUrl"], 0),
        "OldestEventAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", queue["QueueUrl"], 3600),
        "FailuresAlarm": ("S3KmsReplication", "Failed", app.function_name, 0),
        "RefusalsAlarm": ("S3KmsReplication", "Refused", app.function_name, 0),
        "DiagnosesAlarm": ("S3KmsReplication", "DiagnosedFails", app.function_name, 0),
        "UnreplicatedAlarm": ("S3KmsReplication", "Unreplicated", app.function_name, 0),
        "WalksAlarm": ("AWS/States", "ExecutionsFailed", app.outputs["WalkStateMachineArn"], 0),
        "ErrorsAlarm": ("AWS/Lambda", "Errors", app.function_name, 0),
        "ThrottlesAlarm": ("AWS/Lambda", "Throttles", app.function_name, 0),
    }
    assert {tuple(alarm["AlarmActions"]) for alarm in alarms(app).values()} == {()}


def test_dashboard_shows_every_alarm_and_metric_of_the_function(app: Application) -> None:
    body = app.aws.client("cloudwatch").get_dashboard(DashboardName=f"app-{REGION}")["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    shown = {metric for widget in widgets for metrics in widget["properties"].get("metrics", []) for metric in metrics[1:2]}

    assert "${" not in body
    assert set(widgets[0]["properties"]["alarms"]) == {alarm["AlarmArn"] for alarm in alarms(app).values()}
    assert METRICS <= shown
    callers = set(re.findall(r'AskedBy::\w+ => "(\w+)"', (ROOT / "src" / "respond" / "metrics.rs").read_text()))
    by_caller = [widget["properties"]["metrics"] for widget in widgets if "by caller" in widget["properties"].get("title", "")]
    assert [{metric[-1] for metric in metrics} for metrics in by_caller] == [callers, callers]


def test_invocation_logs_its_metrics_in_embedded_metric_format(app: Application) -> None:
    app.invoke({"Action": "Reconcile", "SourceBucket": "not-there"})
    lines = [json.loads(line) for line in app.aws.function_log().splitlines() if line.startswith("{") and '"_aws"' in line]
    line = next(line for line in reversed(lines) if line["AskedBy"] == "Command")
    definition, = line["_aws"]["CloudWatchMetrics"]
    named = {name for line in lines for name in line if name not in ("_aws", "FunctionName", "AskedBy", "Version")}

    assert definition["Namespace"] == "S3KmsReplication"
    assert definition["Dimensions"] == [["FunctionName"], ["FunctionName", "AskedBy"]]
    assert {metric["Name"]: line[metric["Name"]] for metric in definition["Metrics"]} == {"Unchanged": 1, "Duration": line["Duration"]}
    assert line["FunctionName"] == app.function_name
    assert named <= METRICS


def test_dead_letters_are_redriven_with_one_command(app: Application) -> None:
    """The visibility timeout is two seconds here, in place of half an hour."""
    sqs, kms = app.aws.client("sqs"), app.aws.client("kms", REPLICA_REGION)
    app.await_idle()
    sqs.set_queue_attributes(QueueUrl=app.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "2"})
    kms.disable_key(KeyId=app.replica_key)
    try:
        app.aws.create_bucket("prod-dead-letter")
        wait_until("a dead letter", lambda: queued_messages(app, "DeadLetterQueueUrl") == 1, 120)
        assert app.rules("prod-dead-letter") == []
    finally:
        kms.enable_key(KeyId=app.replica_key)
        sqs.set_queue_attributes(QueueUrl=app.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "1800"})
    app.aws.aws("sqs", "start-message-move-task", "--source-arn", app.outputs["DeadLetterQueueArn"])

    wait_until("the replication", lambda: len(app.rules("prod-dead-letter")) == 1, 60)
    app.await_idle()
    assert queued_messages(app, "DeadLetterQueueUrl") == 0


def test_redrive_of_another_queue_is_refused(app: Application) -> None:
    queue = app.aws.client("sqs").get_queue_attributes(QueueUrl=app.outputs["QueueUrl"], AttributeNames=["QueueArn"])

    with pytest.raises(ClientError, match="Dead Letter Queue"):
        app.aws.aws("sqs", "start-message-move-task", "--source-arn", queue["Attributes"]["QueueArn"])


def test_failed_asynchronous_request_is_kept_with_its_payload(app: Application) -> None:
    """The emulator does not check the role's right to send, and waits seconds between retries where AWS waits minutes."""
    sqs = app.aws.client("sqs")
    request = {"Action": "Nonsense"}
    app.aws.client("lambda").invoke(FunctionName=app.function_name, InvocationType="Event", Payload=json.dumps(request))
    message, = wait_until("the failed request", lambda: sqs.receive_message(
        QueueUrl=app.outputs["FailedRequestQueueUrl"]).get("Messages"), 60)
    sqs.delete_message(QueueUrl=app.outputs["FailedRequestQueueUrl"], ReceiptHandle=message["ReceiptHandle"])

    assert json.loads(message["Body"])["requestPayload"] == request
    assert queued_messages(app, "DeadLetterQueueUrl") == 0
