"""Jobs for existing objects, which a stand-in for S3 Batch Operations runs: see `ministack_additions/batch_replication.py`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Application
from local_aws import ACCOUNT, REPLICA_REGION, wait_until


@pytest.fixture(scope="module")
def reports(app: Application) -> str:
    """The bucket of the jobs' reports."""
    return app.aws.create_bucket("batch-reports")


def command(app: Application, source: str, reports: str, **properties: Any) -> dict[str, Any]:
    """A command about the rule of `source` whose objects are replicated to `<source>-copy`."""
    return {"Action": "Apply", "SourceBucket": source, "DestinationBucket": f"{source}-copy", "CreateDestinationBucket": True,
            "DestinationRegion": REPLICA_REGION, "ReplicaKmsKeyArn": app.replica_key, "ReplicateExistingObjects": True,
            "ReportBucket": reports, "ReportPrefix": source, **properties}


def control(app: Application) -> Any:
    """A client of S3 Control. Its host names begin with the account, and such a name does not resolve to this machine."""
    client = app.aws.client("s3control")
    client.meta.events.register("before-sign.s3-control", lambda request, **_: setattr(
        request, "url", request.url.replace(f"//{ACCOUNT}.", "//")))
    return client


def job(app: Application, answer: dict[str, Any]) -> dict[str, Any]:
    """The job of an answer, once it has ended."""
    client = control(app)

    def ended() -> dict[str, Any] | None:
        described = client.describe_job(AccountId=ACCOUNT, JobId=answer["JobId"])["Job"]
        return described if described["Status"] in ("Cancelled", "Complete", "Failed") else None

    return wait_until(f"the end of job `{answer['JobId']}`", ended)


def await_end_of_rights(app: Application, role: str) -> None:
    """Waits until the role has no rights for jobs. Only names are read: a policy may be removed between two calls."""
    wait_until("the end of the job's rights", lambda: not [
        name for name in app.iam.list_role_policies(RoleName=role)["PolicyNames"] if "-job." in name])


def status(app: Application, bucket: str, key: str) -> str | None:
    return app.s3.head_object(Bucket=bucket, Key=key).get("ReplicationStatus")


def report_manifest(app: Application, reports: str, prefix: str) -> dict[str, Any]:
    listed = app.s3.list_objects_v2(Bucket=reports, Prefix=f"{prefix}/job-")["Contents"]
    manifest, = (entry["Key"] for entry in listed if entry["Key"].endswith("/manifest.json"))
    return json.loads(app.s3.get_object(Bucket=reports, Key=manifest)["Body"].read())


def test_objects_written_before_the_rule_are_replicated_and_the_job_loses_its_rights(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("existing-orders", key=app.source_key)
    app.s3.put_object(Bucket=source, Key="2025/1.json", Body=b"{}")
    assert status(app, source, "2025/1.json") is None
    ended = job(app, app.invoke(command(app, source, reports)))

    assert (ended["Status"], ended["ProgressSummary"]["NumberOfTasksSucceeded"]) == ("Complete", 1)
    assert status(app, source, "2025/1.json") == "COMPLETED"
    replica = app.s3_replica.head_object(Bucket=f"{source}-copy", Key="2025/1.json")
    assert replica["ReplicationStatus"] == "REPLICA"
    assert report_manifest(app, reports, source)["Results"] == []
    role = f"s3-crr-{source}"
    await_end_of_rights(app, role)
    assert "batchoperations" not in json.dumps(app.role(role)["AssumeRolePolicyDocument"])


def test_failed_objects_are_replicated_and_replicated_ones_are_not_copied_again(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("existing-failed", key=app.source_key)
    app.invoke({key: value for key, value in command(app, source, reports).items() if not key.startswith(("Report", "ReplicateE"))})
    app.s3.put_object(Bucket=source, Key="replicated", Body=b"1")
    app.s3_replica.put_bucket_versioning(Bucket=f"{source}-copy", VersioningConfiguration={"Status": "Suspended"})
    app.s3.put_object(Bucket=source, Key="failed", Body=b"2")
    assert (status(app, source, "replicated"), status(app, source, "failed")) == ("COMPLETED", "FAILED")
    ended = job(app, app.invoke(command(app, source, reports)))

    assert (ended["Status"], ended["ProgressSummary"]["TotalNumberOfTasks"]) == ("Complete", 1)
    assert status(app, source, "failed") == "COMPLETED"
    failed, copy = app.s3.head_object(Bucket=source, Key="failed"), app.s3_replica.head_object(Bucket=f"{source}-copy", Key="failed")
    assert copy["VersionId"] == failed["VersionId"]


def test_repeated_request_starts_no_second_job(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("existing-once", key=app.source_key)
    app.s3.put_object(Bucket=source, Key="1")
    first = app.invoke(command(app, source, reports))
    job(app, first)
    second = app.invoke(command(app, source, reports))

    jobs = control(app).list_jobs(AccountId=ACCOUNT)["Jobs"]
    assert [each["JobId"] for each in jobs if source in each["Description"]] == [first["JobId"]]
    assert second["Status"] in ("Configured", "Unchanged")


def test_deleting_the_rule_cancels_its_running_job(app: Application, reports: str) -> None:
    source = app.aws.create_bucket("existing-cancelled", key=app.source_key)
    app.s3.put_object(Bucket=source, Key="1")
    started = app.invoke(command(app, source, reports))
    app.invoke({"Action": "Delete", "SourceBucket": source, "DestinationBucket": f"{source}-copy"})

    assert job(app, started)["Status"] == "Cancelled"
    assert app.role(f"s3-crr-{source}") is None


def test_job_of_a_role_that_does_not_trust_batch_operations_fails(app: Application, reports: str) -> None:
    """Of the stand-in itself: it does not run what S3 would not run."""
    source = app.aws.create_bucket("existing-untrusted", key=app.source_key)
    app.invoke({key: value for key, value in command(app, source, reports).items() if not key.startswith(("Report", "ReplicateE"))})
    started = control(app).create_job(
        AccountId=ACCOUNT, ConfirmationRequired=False, Operation={"S3ReplicateObject": {}}, Priority=1, ClientRequestToken="untrusted",
        RoleArn=app.role(f"s3-crr-{source}")["Arn"], Report={"Enabled": False},
        ManifestGenerator={"S3JobManifestGenerator": {"SourceBucket": f"arn:aws:s3:::{source}", "EnableManifestOutput": False}})
    ended = job(app, started)

    assert (ended["Status"], ended["FailureReasons"][0]["FailureCode"]) == ("Failed", "ManifestGenerationFailed")
