"""What `make release` writes beside the programs: templates, archives and checksums. Nothing is compiled here."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from local_aws import ROOT
from samcli.yamlhelper import yaml_parse

sys.path.append(str(ROOT))
import release  # noqa: E402
from stackset import as_text, expand  # noqa: E402

TEMPLATE = (ROOT / "template.yaml").read_text()
ARCHITECTURES = ("x86_64", "arm64")
EPOCH = 1_700_000_000
# The archived list is older than this type. Whether the repository takes it today is not known.
NEWER_THAN_THE_LIST = {"AWS::Scheduler::Schedule"}
# "Acknowledging Application Capabilities" in the developer guide of the repository.
CAPABILITY_OF_TYPE = {
    "AWS::IAM::ManagedPolicy": "CAPABILITY_IAM", "AWS::IAM::Policy": "CAPABILITY_IAM", "AWS::IAM::Role": "CAPABILITY_IAM",
    "AWS::Lambda::Permission": "CAPABILITY_RESOURCE_POLICY", "AWS::SQS::QueuePolicy": "CAPABILITY_RESOURCE_POLICY"}


def template(architecture: str) -> dict[str, Any]:
    return yaml_parse(release.release_template(TEMPLATE, architecture, "function.zip"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_template_of_a_release_needs_no_build_and_has_one_architecture(architecture: str) -> None:
    released, original = template(architecture), yaml_parse(TEMPLATE)
    function = released["Resources"]["Function"]

    assert function["Properties"]["CodeUri"] == "function.zip"
    assert function["Metadata"].keys() == {"checkov"}
    assert released["Parameters"]["Architecture"]["AllowedValues"] == [architecture]
    assert released["Parameters"]["Architecture"]["Default"] == architecture
    released["Parameters"]["Architecture"] = original["Parameters"]["Architecture"]
    released["Resources"]["Function"] = original["Resources"]["Function"]
    assert released == original


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stack_set_template_of_a_release_takes_the_code_from_a_bucket_of_the_stacks_region(architecture: str) -> None:
    expanded = release.stackset_template(release.release_template(TEMPLATE, architecture, "function.zip"), "function.zip")

    assert expanded["Resources"]["Function"]["Properties"]["Code"] == {
        "S3Bucket": {"Fn::Sub": "${CodeBucketPrefix}-${AWS::Region}"}, "S3Key": "function.zip"}
    assert "Transform" not in expanded
    assert "Default" not in expanded["Parameters"]["CodeBucketPrefix"]
    assert len(as_text(expanded).encode()) <= 51_200, "service-managed StackSets refuse a larger template"


def test_template_for_the_repository_has_only_types_and_capabilities_that_are_documented() -> None:
    lines = Path(__file__).with_name("sar-resource-types.txt").read_text().splitlines()
    supported = {line for line in lines if not line.startswith("#")}
    text = release.repository_template(release.release_template(TEMPLATE, "x86_64", "s3://code/function.zip"), "1.2.3")
    metadata = yaml_parse(text)["Metadata"]["AWS::ServerlessRepo::Application"]
    types = {resource["Type"] for resource in expand(text)["Resources"].values()}

    assert types - supported == NEWER_THAN_THE_LIST
    assert metadata["SemanticVersion"] == "1.2.3"
    assert len(metadata["Description"]) <= 256
    documented = set(re.findall(r"CAPABILITY_\w+", (ROOT / "docs" / "install.md").read_text().partition("## Serverless Application")[2]))
    assert documented == {CAPABILITY_OF_TYPE[kind] for kind in types & CAPABILITY_OF_TYPE.keys()}


def test_archives_are_the_same_each_time_and_hold_an_executable() -> None:
    package, program = release.zipped("bootstrap", b"code", EPOCH), release.tarred({"program": b"code", "LICENSE": b"text"}, EPOCH)

    assert package == release.zipped("bootstrap", b"code", EPOCH)
    assert program == release.tarred({"program": b"code", "LICENSE": b"text"}, EPOCH)
    entry, = zipfile.ZipFile(io.BytesIO(package)).infolist()
    assert (entry.filename, entry.external_attr >> 16 & 0o777) == ("bootstrap", 0o755)
    with tarfile.open(fileobj=io.BytesIO(program)) as archive:
        assert [(each.name, each.mode, each.mtime) for each in archive] == [("program", 0o755, EPOCH), ("LICENSE", 0o644, EPOCH)]


def test_checksums_name_every_other_file(tmp_path: Path) -> None:
    for name in ("b", "a", "SHA256SUMS"):
        (tmp_path / name).write_text(name)

    assert release.checksums(tmp_path) == "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in "ab")


def test_release_of_another_version_is_refused() -> None:
    done = subprocess.run([sys.executable, "release.py", "9.9.9"], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert re.search(r"VERSION is `9\.9\.9`, Cargo\.toml has `[\d.]+`, and the output Version of template\.yaml is `[\d.]+`", done.stderr)


def test_versions_of_crate_and_template_are_the_same() -> None:
    version = yaml_parse(TEMPLATE)["Outputs"]["Version"]["Value"]

    release.check_version(version)
