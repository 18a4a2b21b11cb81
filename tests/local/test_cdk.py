"""The construct for CDK: what its example synthesizes, and its resource's life, deployed with the CDK CLI."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from conftest import Application
from local_aws import ACCOUNT, REGION, REPLICA_REGION, ROOT, LocalAws, wait_until

CONSTRUCTS = ROOT / "constructs"
SNAPSHOT = CONSTRUCTS / "test" / "example.template.json"
ASSETS = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
# The emulator has no TLS, and needs a key's id to encrypt with KMS.
PLAIN = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def run_cdk(aws: LocalAws, output: Path, app: str, *arguments: str) -> None:
    """Runs the CDK CLI with an app of the construct's package."""
    cli = CONSTRUCTS / "node_modules" / "aws-cdk" / "bin" / "cdk"
    aws.run("node", str(cli), *arguments, "--app", f"node {CONSTRUCTS / 'dist' / app}", "--output", str(output), "--no-notices",
            "--no-version-reporting", "--ci", seconds=300)


@pytest.fixture(scope="module")
def compiled(aws: LocalAws) -> None:
    compiler = CONSTRUCTS / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        pytest.fail("`constructs/node_modules` is missing: `make test` installs it")
    shutil.rmtree(CONSTRUCTS / "dist", ignore_errors=True)
    aws.run("node", str(compiler), "--project", str(CONSTRUCTS), seconds=300)


def test_package_has_the_version_of_the_program() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert json.loads((CONSTRUCTS / "package.json").read_text())["version"] == cargo["package"]["version"]


@pytest.mark.usefixtures("compiled")
def test_example_synthesizes_the_committed_template_which_cfn_lint_accepts(aws: LocalAws, tmp_path: Path) -> None:
    run_cdk(aws, tmp_path, "example/app.js", "synth", "--quiet")
    template = tmp_path / "ReplicatedBucket.template.json"

    assert json.loads(template.read_text()) == json.loads(SNAPSHOT.read_text())
    assert aws.run("cfn-lint", str(template)) == ""


@pytest.mark.usefixtures("compiled")
def test_rule_is_created_updated_replaced_and_deleted_by_the_cdk_cli(app: Application, tmp_path: Path) -> None:
    first, second = (app.aws.create_bucket(f"cdk-{name}", key=app.source_key) for name in ("first", "second"))
    app.aws.create_bucket("cdk-copy", REPLICA_REGION)
    common = {"serviceToken": app.outputs["ServiceToken"], "destinationBucket": "cdk-copy", "replicaKmsKeyArn": app.replica_key}
    run_cdk(app.aws, tmp_path, "example/app.js", "bootstrap", f"aws://{ACCOUNT}/{REGION}")
    app.s3.delete_bucket_policy(Bucket=ASSETS)
    app.s3.put_bucket_encryption(Bucket=ASSETS, ServerSideEncryptionConfiguration=PLAIN)

    def deploy(**context: str) -> dict[str, str]:
        arguments = [argument for name, value in {**common, **context}.items() for argument in ("--context", f"{name}={value}")]
        run_cdk(app.aws, tmp_path, "test/app.js", "deploy", "--require-approval", "never", *arguments)
        return app.aws.outputs("Rule")

    created = deploy(sourceBucket=first)
    rule, = app.rules(first)
    assert created["ref"] == f"{first}/{rule['ID']}"
    assert created["roleArn"] == app.replication(first)["Role"]
    assert (created["replicaKmsKeyArn"], created["destinationRegion"]) == (app.replica_key, REPLICA_REGION)

    assert deploy(sourceBucket=first, prefix="Tax") == created
    assert app.rules(first)[0]["Filter"] == {"Prefix": "Tax"}

    replaced = deploy(sourceBucket=second)
    assert replaced["ref"] == f"{second}/{rule['ID']}"
    wait_until("the deletion of the replaced rule", lambda: app.rules(first) == [])
    assert [rule["ID"] for rule in app.rules(second)] == [replaced["ruleId"]]

    arguments = [argument for name, value in {**common, "sourceBucket": second}.items() for argument in ("--context", f"{name}={value}")]
    run_cdk(app.aws, tmp_path, "test/app.js", "destroy", "--force", *arguments)
    assert app.rules(second) == []
    assert app.role(f"s3-crr-{second}") is None
