"""A stand-in for Terraform's AWS provider, which cannot be had from PyPI: what `examples/terraform` needs of it, written from its source.

    https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/lambda/invocation.go

It invokes the function with the provider's payloads, gives function errors the provider's text, and keeps a failed update in the state as the
provider does (terraform-provider-aws#43447). It runs in `.venv-terraform`, started by Terraform.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

import boto3
from tf import iface, runner, schema, types, utils

STRING = types.String()


def client(service: str) -> Any:
    return boto3.client(service, region_name=os.environ["AWS_REGION"])


def invoke(diagnostics: utils.Diagnostics, arguments: dict[str, Any], payload: dict[str, Any]) -> str | None:
    """The function's answer; `None` with an error in the diagnostics."""
    output = client("lambda").invoke(FunctionName=arguments["function_name"], Qualifier=arguments["qualifier"] or "$LATEST",
                                     Payload=json.dumps(payload))
    text = output["Payload"].read().decode()
    if "FunctionError" in output:
        diagnostics.add_error(f"invoking Lambda Function ({arguments['function_name']}): {text}")
        return None
    return text


class InvocationData(iface.DataSource):
    """The data source `aws_lambda_invocation`."""

    def __init__(self, provider: iface.Provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "lambda_invocation"

    @classmethod
    def get_schema(cls) -> schema.Schema:
        return schema.Schema(attributes=[
            schema.Attribute("function_name", STRING, required=True),
            schema.Attribute("input", STRING, required=True),
            schema.Attribute("qualifier", STRING, optional=True),
            schema.Attribute("result", STRING, computed=True),
        ])

    def read(self, ctx: iface.ReadDataContext, config: dict[str, Any]) -> dict[str, Any] | None:
        result = invoke(ctx.diagnostics, config, json.loads(config["input"]))
        return None if result is None else {**config, "result": result}


class Export(iface.DataSource):
    """The data source `aws_cloudformation_export`."""

    def __init__(self, provider: iface.Provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "cloudformation_export"

    @classmethod
    def get_schema(cls) -> schema.Schema:
        return schema.Schema(attributes=[schema.Attribute("name", STRING, required=True), schema.Attribute("value", STRING, computed=True)])

    def read(self, ctx: iface.ReadDataContext, config: dict[str, Any]) -> dict[str, Any]:
        exports = client("cloudformation").list_exports()["Exports"]
        return {**config, "value": next(export["Value"] for export in exports if export["Name"] == config["name"])}


class Invocation(iface.Resource):
    """The resource `aws_lambda_invocation`."""

    def __init__(self, provider: iface.Provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "lambda_invocation"

    @classmethod
    def get_schema(cls) -> schema.Schema:
        return schema.Schema(attributes=[
            schema.Attribute("id", STRING, computed=True),
            schema.Attribute("function_name", STRING, required=True, requires_replace=True),
            schema.Attribute("input", STRING, required=True),
            schema.Attribute("lifecycle_scope", STRING, optional=True),
            schema.Attribute("qualifier", STRING, optional=True, requires_replace=True),
            schema.Attribute("terraform_key", STRING, optional=True),
            schema.Attribute("result", STRING, computed=True),
        ])

    def invoke(self, diagnostics: utils.Diagnostics, action: str, arguments: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any] | None:
        """The state after an action; `None` with an error in the diagnostics."""
        if arguments["lifecycle_scope"] != "CRUD":
            raise NotImplementedError("the other lifecycle scope sends no action")
        added = {arguments["terraform_key"] or "tf": {"action": action, "prev_input": before and json.loads(before["input"])}}
        payload = {**json.loads(arguments["input"]), **added}
        result = invoke(diagnostics, arguments, payload)
        identity = f"{arguments['function_name']},$LATEST,{hashlib.md5(json.dumps(payload).encode()).hexdigest()}"
        return None if result is None else {**arguments, "id": identity, "result": result}

    def create(self, ctx: iface.CreateContext, planned: dict[str, Any]) -> dict[str, Any] | None:
        return self.invoke(ctx.diagnostics, "create", planned, None)

    def read(self, ctx: iface.ReadContext, current: dict[str, Any]) -> dict[str, Any]:
        return current

    def plan(self, ctx: iface.PlanContext, current: dict[str, Any] | None, planned: dict[str, Any]) -> dict[str, Any]:
        changed = current is None or current["input"] != planned["input"]
        unknown = dict.fromkeys(("id", "result"), types.Unknown) if changed else {}
        return {**planned, **unknown}

    def upgrade(self, ctx: iface.UpgradeContext, version: int, old: dict[str, Any]) -> dict[str, Any]:
        return old

    def update(self, ctx: iface.UpdateContext, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        state = self.invoke(ctx.diagnostics, "update", planned, current)
        return state or {**planned, "id": current["id"], "result": current["result"]}

    def delete(self, ctx: iface.DeleteContext, current: dict[str, Any]) -> None:
        self.invoke(ctx.diagnostics, "delete", current, current)


class Aws(iface.Provider):
    """The provider, configured by the environment."""

    def get_model_prefix(self) -> str:
        return "aws_"

    def get_provider_schema(self, diags: utils.Diagnostics) -> schema.Schema:
        return schema.Schema(attributes=[schema.Attribute("region", STRING, optional=True)])

    def full_name(self) -> str:
        return "registry.terraform.io/hashicorp/aws"

    def validate_config(self, diags: utils.Diagnostics, config: dict[str, Any]) -> None:
        pass

    def configure_provider(self, diags: utils.Diagnostics, config: dict[str, Any]) -> None:
        pass

    def get_data_sources(self) -> list[type[iface.DataSource]]:
        return [InvocationData, Export]

    def get_resources(self) -> list[type[iface.Resource]]:
        return [Invocation]


if __name__ == "__main__":
    runner.run_provider(Aws(), sys.argv)
