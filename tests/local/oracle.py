"""The oracle: judges the requests of the tests by botocore's newest service models and by S3's documented rules.

Reads files of JSON lines, each a request with `method`, `uri`, `headers` (lower case) and `body` (hexadecimal). Prints how many requests of
each operation it has judged and every fault, as JSON. Runs in `.venv-oracle`.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import botocore
import botocore.session
import cbor2
import regex
from botocore.model import MapShape, OperationModel, ServiceModel, StructureShape
from oracle_shapes import faults, local_name, read_form, read_text, read_xml
from replication_rules import configuration_faults

# The services by their names in signatures. S3 Control signs as S3.
SERVICES = {"iam": "iam", "sts": "sts", "kms": "kms", "s3": "s3", "dynamodb": "dynamodb", "monitoring": "cloudwatch", "ssm": "ssm", "sqs": "sqs"}
S3_CONTROL_PATH = "/v20180820/"
# Headers of signature, checksums and the SDK, which are in no operation's model.
PROTOCOL_HEADERS = regex.compile(r"x-amz-(date|content-sha256|security-token|user-agent|target|sdk-.*|trailer|checksum-(crc32|crc32c|crc64nvme|sha1|sha256)|decoded-content-length)")


class Unreadable(Exception):
    """A request that cannot be read as one of an operation."""


@cache
def model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def operation_of(service: str, name: str) -> OperationModel:
    if name not in model(service).operation_names:
        raise Unreadable(f"`{name}` is no operation of {service}")
    return model(service).operation_model(name)


def judge(request: dict[str, Any]) -> tuple[str, list[str]]:
    """The operation of a request, and what is wrong with it."""
    headers = request["headers"]
    if "X-Amz-Signature=" in request["uri"]:
        # CloudFormation's presigned address: no operation of ours, but a content type would break the signature.
        wrong = [f"content type `{headers['content-type']}`"] if headers.get("content-type") else []
        return "cloudformation:answer", wrong + ([] if request["method"] == "PUT" else [f"method {request['method']}"])
    scope = regex.search(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request", headers.get("authorization", ""))
    service = SERVICES.get(scope[1]) if scope else None
    if service is None:
        raise Unreadable(f"no signature for a known service: {request['method']} {request['uri']}")
    address = urlsplit(request["uri"])
    body = bytes.fromhex(request["body"])
    if service == "s3":
        return judge_rest(request, address, body)
    if service in ("iam", "sts"):
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
        operation = operation_of(service, form.pop("Action", ""))
        version = form.pop("Version", "")
        found = [f"version `{version}`"] if version != model(service).api_version else []
        values = read_form(operation.input_shape, form) if operation.input_shape else {}
        found += [f"`{name}` is not in the model" for name in form]
    else:
        target = headers.get("x-amz-target", "").rpartition(".")[2] or address.path.rpartition("/")[2]
        operation = operation_of(service, target)
        is_cbor = headers.get("smithy-protocol") == "rpc-v2-cbor"
        values, found = cbor2.loads(body) if is_cbor else json.loads(body), []
    if operation.input_shape:
        found += faults(operation.input_shape, values, operation.name)
    return f"{service}:{operation.name}", found


def judge_rest(request: dict[str, Any], address: Any, body: bytes) -> tuple[str, list[str]]:
    """Judges a request of S3 or S3 Control, whose values are in path, query, headers and an XML body."""
    service = "s3control" if address.path.startswith(S3_CONTROL_PATH) else "s3"
    host = address.hostname or ""
    bucket = host.partition(".s3.")[0] if service == "s3" and ".s3." in host else ""
    path = f"/{bucket}{address.path}" if bucket else address.path
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    name = query.pop("x-id", None)
    operation, values = match_operation(service, request["method"], path, query, request["headers"])
    found = [f"`x-id` is `{name}`"] if name not in (None, operation.name) else []
    shape = operation.input_shape
    found += unknown_parts(shape, operation, query, request["headers"])
    payload = shape.serialization.get("payload")
    in_body = [name for name, member in shape.members.items() if not member.serialization.get("location")]
    if payload and not isinstance(shape.members[payload], StructureShape):
        values[payload] = body.decode() if shape.members[payload].type_name == "string" else body
    elif body and (payload or in_body):
        element = ElementTree.fromstring(body)
        expected = (shape.members[payload] if payload else shape).serialization
        if local_name(element) != expected.get("name", operation.name + "Request"):
            found.append(f"the body's root is `{local_name(element)}`, not `{expected.get('name')}`")
        namespace = expected.get("xmlNamespace", {}).get("uri")
        if namespace and element.tag != f"{{{namespace}}}{local_name(element)}":
            found.append(f"the body's root `{element.tag}` is not of `{namespace}`")
        read = read_xml(shape.members[payload] if payload else shape, element)
        values |= {payload: read} if payload else read
    elif body:
        found.append(f"a body of {len(body)} bytes, which {operation.name} does not take")
    found += faults(shape, values, operation.name)
    if operation.name == "PutBucketReplication" and not found:
        found += configuration_faults(values["ReplicationConfiguration"])
    return f"{service}:{operation.name}", found


def match_operation(service: str, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[OperationModel, dict[str, Any]]:
    """The operation whose address and required members fit best, with the members of path, query and headers."""
    fitting = []
    for name in model(service).operation_names:
        operation = model(service).operation_model(name)
        template, _, constants = operation.http["requestUri"].partition("?")
        labels = regex.fullmatch(path_pattern(template), path)
        fixed = dict(parse_qsl(constants, keep_blank_values=True))
        if operation.http["method"] != method or not labels or any(query.get(key) != value for key, value in fixed.items()):
            continue
        values: dict[str, Any] = {}
        shape = operation.input_shape
        if shape:
            names = {member.serialization.get("name", name): name for name, member in shape.members.items()
                     if member.serialization.get("location") == "uri"}
            values |= {names[label]: unquote(text) for label, text in labels.groupdict().items()}
            values |= located_values(shape, query, headers)
            located = [name for name in shape.required_members if shape.members[name].serialization.get("location")]
            if all(name in values for name in located):
                fitting.append((len(fixed), len(located), name, operation, values))
        else:
            fitting.append((len(fixed), 0, name, operation, values))
    if not fitting:
        raise Unreadable(f"no operation of {service} fits {method} {path} {query}")
    *_, operation, values = max(fitting, key=lambda fit: fit[:2])
    return operation, values


def path_pattern(template: str) -> str:
    parts = regex.split(r"\{(\w+)(\+?)\}", template)
    pattern = "".join(regex.escape(part) if index % 3 == 0 else f"(?P<{part}>{'.+' if parts[index + 1] else '[^/]+'})" if index % 3 == 1 else ""
                      for index, part in enumerate(parts))
    return pattern.rstrip("/") + "/?"


def located_values(shape: StructureShape, query: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
    """The members that are in the query and in headers."""
    values: dict[str, Any] = {}
    for name, member in shape.members.items():
        location, wire_name = member.serialization.get("location"), member.serialization.get("name", name)
        if location == "querystring" and wire_name in query:
            values[name] = read_text(member, query[wire_name])
        elif location == "header" and wire_name.lower() in headers:
            values[name] = read_text(member, headers[wire_name.lower()])
        elif location == "headers" and isinstance(member, MapShape):
            prefix = wire_name.lower()
            entries = {key.removeprefix(prefix): value for key, value in headers.items() if key.startswith(prefix)}
            values |= {name: entries} if entries else {}
    return values


def unknown_parts(shape: StructureShape, operation: OperationModel, query: dict[str, str], headers: dict[str, str]) -> Iterator[str]:
    """Keys of the query and headers of AWS that the operation does not know."""
    members = [(member.serialization.get("location"), member.serialization.get("name", name).lower()) for name, member in shape.members.items()]
    fixed = dict(parse_qsl(operation.http["requestUri"].partition("?")[2], keep_blank_values=True))
    for key in query:
        if key not in fixed and ("querystring", key.lower()) not in members:
            yield f"query key `{key}` is not in the model"
    for key in headers:
        is_known = any(key == name or (location == "headers" and key.startswith(name)) for location, name in members)
        if key.startswith("x-amz-") and not is_known and not PROTOCOL_HEADERS.fullmatch(key):
            yield f"header `{key}` is not in the model"


def main() -> None:
    counts: Counter[str] = Counter()
    with_owner: Counter[str] = Counter()
    found: list[str] = []
    for file in sys.argv[1:]:
        for line in Path(file).read_text().splitlines():
            request = json.loads(line)
            try:
                operation, wrong = judge(request)
            except (Unreadable, ValueError, ElementTree.ParseError) as error:
                operation, wrong = "unreadable", [str(error)]
            counts[operation] += 1
            with_owner[operation] += "x-amz-expected-bucket-owner" in request["headers"]
            found += [f"{operation}: {fault}" for fault in wrong]
    print(json.dumps({"Botocore": botocore.__version__, "Requests": dict(sorted(counts.items())), "WithOwner": with_owner,
                      "Faults": sorted(set(found))}))


if __name__ == "__main__":
    main()
