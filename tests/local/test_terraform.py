"""Resources of Terraform: the provider's payloads, sent to the deployed function, and `examples/terraform` with a stand-in for the provider."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import terraform
from conftest import Application
from local_aws import REPLICA_REGION, ROOT, ClientError, LocalAws
from samples import writes

EXAMPLE = ROOT / "examples" / "terraform"
MODULE = EXAMPLE / "module"


def payload(action: str, resource: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """What the provider sends."""
    return {**resource, "tf": {"action": action, "prev_input": before}}


def test_resource_is_created_updated_replaced_and_deleted_by_the_payloads_of_the_provider(app: Application) -> None:
    first = app.aws.create_bucket("tf-first", key=app.source_key)
    second = app.aws.create_bucket("tf-second", key=app.source_key)
    app.aws.create_bucket("tf-copy", REPLICA_REGION)
    resource = {"SourceBucket": first, "DestinationBucket": "tf-copy", "ReplicaKmsKeyArn": app.replica_key}
    created = app.invoke_with_cli(payload("create", resource, None))
    assert created == {
        "Id": "tf-first/s3-kms-replication.tf-copy", "RuleId": "s3-kms-replication.tf-copy", "RoleArn": app.replication(first)["Role"],
        "DestinationBucketArn": "arn:aws:s3:::tf-copy", "Status": "Configured"}

    before = len(app.calls())
    assert app.invoke(payload("update", resource, resource)) == created
    assert writes(app.calls()[before:]) == []
    tax = {**resource, "Prefix": "Tax"}
    assert app.invoke(payload("update", tax, resource)) == created
    assert app.rules(first)[0]["Filter"] == {"Prefix": "Tax"}

    moved = {**tax, "SourceBucket": second}
    replaced = app.invoke(payload("update", moved, tax))
    assert replaced["Id"] == "tf-second/s3-kms-replication.tf-copy"
    assert app.rules(first) == []
    assert app.role("s3-crr-tf-first") is None
    assert [rule["ID"] for rule in app.rules(second)] == ["s3-kms-replication.tf-copy"]

    assert app.invoke(payload("delete", moved, moved)) == {"Id": replaced["Id"], "RuleId": replaced["RuleId"], "Status": "Removed"}
    assert app.rules(second) == []
    assert app.invoke(payload("delete", moved, moved))["Status"] == "Removed"


def test_error_begins_with_one_plain_line(app: Application) -> None:
    resource = {"SourceBucket": app.aws.create_bucket("tf-refused", key=app.source_key), "DestinationBucket": "tf-nowhere",
                "ReplicaKmsKeyArn": app.replica_key}
    with pytest.raises(ClientError) as refused:
        app.invoke(payload("create", resource, None))
    assert str(refused.value) == "`DestinationBucket` `tf-nowhere` does not exist; create it, or set `CreateDestinationBucket` to true"


def test_module_has_a_variable_for_each_property() -> None:
    schema = json.loads((ROOT / "replication-policy.schema.json").read_text())["properties"]["Rules"]["items"]
    names = schema["properties"].keys() - {"Match", "DryRun"} | {"SourceBucket"}
    snake = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names}
    text = (MODULE / "variables.tf").read_text()
    variables = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL))
    assert variables.keys() == {*snake.values(), "function_name"}
    for name, variable in snake.items():
        allowed = schema["properties"].get(name, {}).get("enum")
        assert allowed is None or json.dumps(allowed) in variables[variable], name
    used = dict(re.findall(r"^ +(\w+) += var\.(\w+)$", (MODULE / "main.tf").read_text(), re.MULTILINE))
    assert {name: used[name] for name in names} == snake


@dataclass
class Example:
    """A copy of the example, whose buckets and key exist, and the state that Terraform keeps of it."""

    aws: LocalAws
    program: str
    folder: Path
    source: str

    def terraform(self, *arguments: str) -> str:
        """Runs Terraform and returns its output; a failure raises its output."""
        return self.aws.run(self.program, f"-chdir={self.folder}", *arguments, "-no-color", seconds=180)

    def apply(self, **variables: str) -> str:
        return self.terraform("apply", "-auto-approve", *(f"-var={name}={value}" for name, value in variables.items()))

    def edit(self, before: str, after: str) -> None:
        main = self.folder / "main.tf"
        assert before in (text := main.read_text())
        main.write_text(text.replace(before, after))


@pytest.fixture
def example(app: Application, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Example]:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    source = app.aws.create_bucket(name, key=app.source_key)
    replica = app.aws.create_bucket(f"{name}-copy", REPLICA_REGION)
    aws = LocalAws(app.aws.endpoint, app.aws.folder)
    aws.environment |= terraform.install(tmp_path)
    example = Example(aws, str(tmp_path / "bin" / "terraform"), tmp_path / "example", source)
    shutil.copytree(EXAMPLE, example.folder, ignore=shutil.ignore_patterns(".terraform*", "terraform.tfstate*"))
    for before, after in (("s3-kms-replication-ServiceToken", "app-ServiceToken"), ('"orders"', f'"{source}"'), ('"orders-replica"', f'"{replica}"')):
        example.edit(before, after)
    example.terraform("init")
    yield example
    example.terraform("destroy", "-auto-approve")
    assert app.rules(source) == []


def test_example_is_formatted_and_valid(example: Example) -> None:
    example.terraform("fmt", "-check", "-diff", "-recursive")
    assert "The configuration is valid" in example.terraform("validate")


def test_example_applies_updates_and_replaces_the_rule(app: Application, example: Example) -> None:
    (example.folder / "check.tf").unlink()
    assert "2 added, 0 changed, 0 destroyed" in example.apply()
    assert [rule["ID"] for rule in app.rules(example.source)] == [f"s3-kms-replication.{example.source}-copy"]
    assert "No changes." in example.terraform("plan")

    changed = example.apply(prefix="Tax")
    assert "0 to add, 1 to change, 0 to destroy" in changed
    assert app.rules(example.source)[0]["Filter"] == {"Prefix": "Tax"}

    example.edit("  prefix ", '  name = "other"\n  prefix ')
    replaced = example.apply(prefix="Tax")
    assert "1 to add, 1 to change, 1 to destroy" in replaced
    assert [rule["ID"] for rule in app.rules(example.source)] == ["s3-kms-replication.other"]


def test_plan_shows_what_a_failed_update_left_and_a_replacement_mends_it(app: Application, example: Example) -> None:
    example.apply()
    theirs = {**app.replication(example.source), "Role": app.extendable_role}
    app.s3.put_bucket_replication(Bucket=example.source, ReplicationConfiguration=theirs)
    with pytest.raises(ClientError) as failed:
        example.apply(prefix="Tax")
    assert "invoking Lambda Function" in str(failed.value)
    assert "already replicates with role" in str(failed.value)

    app.s3.delete_bucket_replication(Bucket=example.source)
    planned = example.terraform("plan", "-var=prefix=Tax")
    assert "0 to add, 0 to change, 0 to destroy" in planned
    assert "The rule is not as it was applied." in planned
    assert "PutBucketReplication" in planned

    example.terraform("apply", "-auto-approve", "-var=prefix=Tax", "-replace=module.orders_replication.aws_lambda_invocation.rule")
    assert [rule["Filter"] for rule in app.rules(example.source)] == [{"Prefix": "Tax"}]
    assert "Check block assertion failed" not in example.terraform("plan", "-var=prefix=Tax")


def test_failed_replacement_is_repeated_by_the_next_apply(app: Application, example: Example) -> None:
    example.apply()
    example.edit(f'"{example.source}-copy"', '"not-there"')
    with pytest.raises(ClientError, match="`not-there` does not exist"):
        example.apply()
    with pytest.raises(ClientError, match="`not-there` does not exist"):
        example.apply()
    example.edit('"not-there"', f'"{example.source}-copy"')
    assert "1 to add" in example.apply()
    assert [rule["ID"] for rule in app.rules(example.source)] == [f"s3-kms-replication.{example.source}-copy"]


def test_replacement_of_the_same_rule_with_create_before_destroy_deletes_it(app: Application, example: Example) -> None:
    """As docs/terraform.md warns: the old object's delete comes last, and names the rule that the new one has applied."""
    module = example.folder / "module" / "main.tf"
    module.write_text(module.read_text().replace("  lifecycle {\n", "  lifecycle {\n    create_before_destroy = true\n"))
    example.apply()
    shown = example.terraform("apply", "-auto-approve", "-replace=module.orders_replication.aws_lambda_invocation.rule")
    assert app.rules(example.source) == []
    assert "1 added, 0 changed, 1 destroyed" in shown
    assert "The rule is not as it was applied." in example.terraform("plan")


def test_wrong_values_are_refused_by_the_module_before_anything_is_invoked(app: Application, example: Example) -> None:
    for before, after, named in [
        ("replica_kms_key_arn = ", 'storage_class = "COLD"\n  replica_kms_key_arn = ', "It is one of STANDARD"),
        ('storage_class = "COLD"', "priority = 1.5", "A priority is a whole number"),
        ("priority = 1.5", 'name = "a b"', "A rule's name has 1 to 109"),
        ('name = "a b"', "prefx = 1", "Unsupported argument"),
    ]:
        example.edit(before, after)
        with pytest.raises(ClientError, match=named):
            example.terraform("plan")
    example.edit("prefx = 1", "")
