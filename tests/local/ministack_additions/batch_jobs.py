"""A stand-in for the API of S3 Batch Operations: CreateJob, DescribeJob, UpdateJobStatus and ListJobs. `batch_replication` runs the jobs."""

from __future__ import annotations

import asyncio
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from ministack import app
from ministack.core import responses

from .batch_replication import FINAL, NAMESPACE, SERVICE, Job, run
from .cloudtrail import user_identity
from .records import RECORDS

PATH = "/v20180820/jobs"

handle_control_request = app._handle_s3_control_request

# All jobs, by id.
JOBS: dict[str, Job] = {}


def install() -> None:
    app._handle_s3_control_request = handle_job_request


class Refused(Exception):
    """The request is answered with an error of S3 Control."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Denied(Exception):
    """IAM denies the request."""

    def __init__(self, response: tuple[int, dict[str, str], bytes]) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True)
class Request:
    """A request about jobs."""

    headers: dict[str, str]
    query: dict[str, list[str]]
    body: bytes
    id: str
    request_id: str

    def authorize(self, action: str, resource: str, **context: str) -> None:
        """Raises `Denied` unless the caller has the right."""
        denied = app._enforce_data_plane("s3", action, self.headers, self.query, self.request_id, resource_arn=resource,
                                         service_context=context, named_resource=resource)
        caller = user_identity(self.headers, self.query)["arn"]
        RECORDS.calls.append({"caller": caller, "resource": resource, "status": denied[0] if denied else 200, "action": action})
        if denied:
            raise Denied(denied)

    def job(self, action: str) -> Job:
        """The job that the path names, once the caller has the right to it."""
        self.authorize(action, f"arn:aws:s3:{responses.get_region()}:{responses.get_account_id()}:job/{self.id}")
        job = JOBS.get(self.id)
        if job is None or (job.account, job.region) != (responses.get_account_id(), responses.get_region()):
            raise Refused(404, "NoSuchJob", f"The specified job does not exist: {self.id}")
        return job


async def handle_job_request(path, method, body, query_params, request_id, headers=None):
    """Answers the operations on jobs; MiniStack has the other operations of S3 Control."""
    if path != PATH and not path.startswith(f"{PATH}/"):
        return await handle_control_request(path, method, body, query_params, request_id, headers)
    identifier, _, rest = path.removeprefix(PATH).strip("/").partition("/")
    name, operation = OPERATIONS.get((method, bool(identifier), rest), ("", unknown))
    try:
        content = operation(Request(headers or {}, query_params, body, identifier, request_id))
    except Denied as denied:
        return denied.response
    except Refused as refused:
        error = f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
        return answer(refused.status, "ErrorResponse", f"{error}<RequestId>{request_id}</RequestId>", request_id)
    return answer(200, f"{name}Result", content, request_id)


def answer(status: int, root: str, content: str, request_id: str) -> tuple[int, dict[str, str], bytes]:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{content}</{root}>'
    return status, {"Content-Type": "application/xml", "x-amzn-requestid": request_id}, body.encode()


def unknown(_: Request) -> str:
    raise Refused(400, "InvalidURI", "the stand-in has no such operation")


def create(request: Request) -> str:
    """Starts a job, or returns the one that was started with the same token."""
    job = Job(str(uuid.uuid4()), responses.get_account_id(), responses.get_region(), ET.fromstring(request.body))
    role = job.text("RoleArn")
    request.authorize("s3:CreateJob", "*", **{"s3:RequestJobOperation": "S3ReplicateObject", "s3:RequestJobPriority": job.text("Priority")})
    request.authorize("iam:PassRole", role, **{"iam:PassedToService": SERVICE})
    if job.element("Operation/S3ReplicateObject") is None or job.element("ManifestGenerator/S3JobManifestGenerator") is None:
        raise Refused(400, "InvalidRequest", "the stand-in only replicates objects whose list S3 generates")
    for earlier in JOBS.values():
        if (earlier.account, earlier.text("ClientRequestToken")) == (job.account, job.text("ClientRequestToken")):
            return f"<JobId>{earlier.id}</JobId>"
    JOBS[job.id] = job
    asyncio.get_running_loop().create_task(run(job))
    return f"<JobId>{job.id}</JobId>"


def describe(request: Request) -> str:
    job = request.job("s3:DescribeJob")
    failures = "".join(f"<member><FailureCode>{code}</FailureCode><FailureReason>{escape(reason)}</FailureReason></member>"
                       for code, reason in job.failures)
    return (f"<Job>{outline(job)}<JobArn>{job.arn}</JobArn><RoleArn>{escape(job.text('RoleArn'))}</RoleArn>"
            f"<FailureReasons>{failures}</FailureReasons></Job>")


def update_status(request: Request) -> str:
    """Cancels a job. The stand-in has no jobs that wait for a confirmation."""
    job = request.job("s3:UpdateJobStatus")
    if request.query.get("requestedJobStatus") != ["Cancelled"] or job.status in FINAL:
        raise Refused(400, "JobStatusException", f"a job that is {job.status} cannot become {request.query.get('requestedJobStatus')}")
    job.enter("Cancelled")
    return f"<JobId>{job.id}</JobId><Status>{job.status}</Status>"


def list_jobs(request: Request) -> str:
    request.authorize("s3:ListJobs", "*")
    statuses = request.query.get("jobStatuses")
    jobs = (job for job in JOBS.values() if (job.account, job.region) == (responses.get_account_id(), responses.get_region()))
    members = "".join(f"<member>{outline(job)}</member>" for job in jobs if not statuses or job.status in statuses)
    return f"<Jobs>{members}</Jobs>"


def outline(job: Job) -> str:
    """The elements that a job has in lists and alone."""
    created = datetime.fromtimestamp(job.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    progress = {"TotalNumberOfTasks": job.succeeded + job.failed, "NumberOfTasksSucceeded": job.succeeded, "NumberOfTasksFailed": job.failed}
    counts = "".join(f"<{name}>{count}</{name}>" for name, count in progress.items())
    return (f"<JobId>{job.id}</JobId><Description>{escape(job.text('Description'))}</Description><Priority>{job.text('Priority')}</Priority>"
            f"<Status>{job.status}</Status><CreationTime>{created}</CreationTime><ProgressSummary>{counts}</ProgressSummary>")


# The operations, by method, whether the path has a job's id, and the rest of the path.
OPERATIONS: dict[tuple[str, bool, str], tuple[str, Callable[[Request], str]]] = {
    ("POST", False, ""): ("CreateJob", create),
    ("GET", False, ""): ("ListJobs", list_jobs),
    ("GET", True, ""): ("DescribeJob", describe),
    ("POST", True, "status"): ("UpdateJobStatus", update_status),
}
