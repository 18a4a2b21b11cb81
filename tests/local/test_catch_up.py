"""Catch-up and Replay: what a rule has missed, and what S3 failed to replicate, is replicated by the function and by the program.

The messages are those that the function sends to its own queue; the emulator delivers them at once instead of after 15 minutes. A stand-in
for S3 Batch Operations runs the jobs: see `ministack_additions/batch_replication.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import Any

import pytest
from conftest import Application
from local_aws import ACCOUNT, REPLICA_REGION, ROOT, ClientError, wait_until
from test_existing_objects import await_end_of_rights, command, control, job, status

# What the function logs about a catch-up.
MESSAGES = '"message":"(the catch-up|S3 is still at work|a job replicates|versions are not replicated)'
PROGRAM = ROOT / "target" / "debug" / "s3-kms-replication"


@pytest.fixture(scope="module")
def reports(app: Application) -> str:
    """The bucket of the jobs' reports."""
    return app.aws.create_bucket("catch-up-reports")


def without_job(app: Application, source: str) -> dict[str, Any]:
    """The command that makes the rule of `source` and starts no job."""
    return {name: value for name, value in command(app, source, "").items() if not name.startswith(("Report", "ReplicateE"))}


def fail_object(app: Application, source: str, key: str) -> None:
    """Writes an object that S3 fails to replicate."""
    versioning = app.s3_replica.put_bucket_versioning
    versioning(Bucket=f"{source}-copy", VersioningConfiguration={"Status": "Suspended"})
    app.s3.put_object(Bucket=source, Key=key, Body=b"{}")
    versioning(Bucket=f"{source}-copy", VersioningConfiguration={"Status": "Enabled"})
    assert status(app, source, key) == "FAILED"


def jobs(app: Application, source: str) -> list[dict[str, Any]]:
    return [each for each in control(app).list_jobs(AccountId=ACCOUNT)["Jobs"] if each["Description"].startswith(f"{source}/")]


def deliver(app: Application, source: str) -> str:
    """Delivers the catch-up of a bucket, and returns the line that the function logs about it."""
    since = time.time()
    assert app.aws.deliver_delayed(f'"{source}"') == 1

    def line() -> str | None:
        lines = app.aws.function_log(since - 1).splitlines()
        told = [line for line in lines if re.search(MESSAGES, line) and f'"{source}"' in line]
        return told[0] if told else None

    return wait_until(f"the catch-up of `{source}`", line, 60)


def program(app: Application, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([PROGRAM, *arguments], env=app.aws.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout or done.stderr


def test_what_failed_in_the_first_minutes_of_an_empty_bucket_is_replicated_by_one_job(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("catch-up-empty", key=app.source_key)
    answer = app.invoke(command(app, source, reports))
    assert ("JobId" in answer, jobs(app, source)) == (False, [])
    fail_object(app, source, "first.json")
    line = deliver(app, source)

    assert "first.json" not in line
    started, = jobs(app, source)
    assert job(app, {"JobId": started["JobId"]})["ProgressSummary"]["NumberOfTasksSucceeded"] == 1
    assert status(app, source, "first.json") == "COMPLETED"
    assert app.s3_replica.head_object(Bucket=f"{source}-copy", Key="first.json")["ReplicationStatus"] == "REPLICA"
    role = f"s3-crr-{source}"
    await_end_of_rights(app, role)
    assert app.invoke(command(app, source, reports))["Status"] == "Unchanged"


def test_objects_from_before_the_rule_are_counted_and_the_logged_command_replicates_them(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("catch-up-told", key=app.source_key)
    for key in ("1.json", "2.json"):
        app.s3.put_object(Bucket=source, Key=key, Body=b"{}")
    time.sleep(1.1)
    app.invoke(without_job(app, source))
    app.s3.put_object(Bucket=source, Key="3.json", Body=b"{}")
    told = json.loads(deliver(app, source))["fields"]

    assert told["count"] == 2
    assert '"Unreplicated":2' in app.aws.function_log().replace(" ", "")
    words = told["command"].replace("BUCKET", reports).split()
    program(app, *words[1:], "--yes")
    started, = jobs(app, source)
    job(app, {"JobId": started["JobId"]})
    assert {status(app, source, f"{number}.json") for number in (1, 2, 3)} == {"COMPLETED"}


def test_catch_up_of_a_converged_bucket_starts_nothing(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("catch-up-converged", key=app.source_key)
    app.invoke(command(app, source, reports))
    app.s3.put_object(Bucket=source, Key="1.json", Body=b"{}")
    assert "found nothing missed" in deliver(app, source)
    assert jobs(app, source) == []


def test_catch_up_ends_with_its_bucket(app: Application) -> None:
    source = app.aws.create_bucket("catch-up-gone", key=app.source_key)
    app.invoke(without_job(app, source))
    app.s3.delete_bucket(Bucket=source)
    assert "the bucket does not exist" in deliver(app, source)


def test_replay_of_the_function_replicates_failed_objects_only_and_starts_no_second_job(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("replay-function", key=app.source_key)
    app.s3.put_object(Bucket=source, Key="older.json", Body=b"{}")
    app.invoke(without_job(app, source))
    fail_object(app, source, "failed.json")
    replay = {"Action": "Replay", "SourceBucket": source, "Name": f"{source}-copy", "ReportBucket": reports}
    with pytest.raises(ClientError, match="`Name` is `other`; the rules of bucket"):
        app.invoke({**replay, "Name": "other"})
    first = app.invoke(replay)
    second = app.invoke(replay)

    assert (first["Status"], second["Status"], second["JobId"]) == ("Started", "Running", first["JobId"])
    assert job(app, first)["ProgressSummary"]["TotalNumberOfTasks"] == 1
    assert (status(app, source, "failed.json"), status(app, source, "older.json")) == ("COMPLETED", None)
    role = f"s3-crr-{source}"
    await_end_of_rights(app, role)


def test_replay_of_the_program_replicates_failed_objects(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("replay-program", key=app.source_key)
    app.invoke(without_job(app, source))
    fail_object(app, source, "failed.json")
    arguments = ["replay", "--source-bucket", source, "--name", f"{source}-copy", "--report-bucket", reports]
    assert "CreateJob" in program(app, *arguments, "--dry-run")
    assert jobs(app, source) == []
    answer = json.loads(program(app, *arguments, "--yes", "--output", "json"))
    job(app, answer)

    assert (answer["Status"], status(app, source, "failed.json")) == ("Started", "COMPLETED")


def test_replay_of_a_foreign_rule_says_what_its_role_lacks_and_its_command_works(app: Application, reports: str) -> None:
    source, trust = app.aws.create_bucket("replay-foreign"), {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    copy = app.aws.create_bucket("replay-foreign-copy", region=REPLICA_REGION)
    for bucket, client in ((source, app.s3), (copy, app.s3_replica)):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    role = app.iam.create_role(RoleName="replay-foreign", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    app.s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": [{
        "ID": "theirs", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{copy}"}}]})
    fail_object(app, source, "failed.json")
    request = {"Action": "Replay", "SourceBucket": source, "Name": "theirs", "ReportBucket": reports}
    answer = app.invoke(request)
    assert (answer["Status"], answer["RoleArn"], jobs(app, source)) == ("Foreign", role, [])
    program(app, "replay", "--source-bucket", source, "--name", "theirs", "--report-bucket", reports, "--yes", code=1)

    of_role = [lack["Statement"] for lack in answer["Lacks"] if "Resource" in lack["Statement"]]
    of_trust = [lack["Statement"] for lack in answer["Lacks"] if "Resource" not in lack["Statement"]]
    assert (len(of_role), len(of_trust)) == (3, 1)
    app.iam.put_role_policy(RoleName="replay-foreign", PolicyName="job", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": of_role}))
    app.iam.update_assume_role_policy(RoleName="replay-foreign", PolicyDocument=json.dumps({**trust, "Statement": [*trust["Statement"], *of_trust]}))
    assert app.invoke(request)["Lacks"] == []
    assert answer["Command"].startswith("aws s3control create-job ")
