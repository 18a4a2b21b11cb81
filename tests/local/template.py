"""Evaluates `template.yaml` for given parameters, without AWS and without an emulator.

It resolves the conditions and intrinsic functions of the template before SAM's transform. What CloudFormation names by itself has the
longest name that the service allows.
"""

from __future__ import annotations

import re
from typing import Any

from local_aws import ROOT
from samcli.yamlhelper import yaml_parse

TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]

ABSENT = object()
# The longest that AWS has: partition, Region, DNS suffix; and a stack's name has at most 128 characters.
PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-99", "AWS::URLSuffix": "cloud.adc-e.uk", "AWS::AccountId": "111122223333",
    "AWS::StackName": "s" * 128, "AWS::NoValue": ABSENT,
    "AWS::StackId": f"arn:aws-us-gov:cloudformation:ap-southeast-99:111122223333:stack/{'s' * 128}/{'0' * 36}"}
# The longest physical ids that the services allow.
PHYSICAL_IDS = {"AWS::DynamoDB::Table": 255, "AWS::Logs::LogGroup": 512, "AWS::SQS::Queue": 80, "AWS::IAM::Role": 64, "AWS::SSM::Parameter": 1011}
# `Ref` of a queue is its URL.
LONGEST_QUEUE_URL = "https://sqs.ap-southeast-99.cloud.adc-e.uk/111122223333/"
LONGEST_ARN_PREFIX = "arn:aws-us-gov:dynamodb:ap-southeast-99:111122223333:log-group:"


def is_list(parameter: str) -> bool:
    return PARAMETERS[parameter]["Type"] == "CommaDelimitedList"


class Deployment:
    """The template with parameters, each given as the text that CloudFormation gets."""

    def __init__(self, **parameters: str) -> None:
        unknown = parameters.keys() - PARAMETERS.keys()
        assert not unknown, f"the template has no parameters {unknown}"
        self.texts = {name: parameters.get(name, str(parameter["Default"])) for name, parameter in PARAMETERS.items()}

    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources that are created, with every function resolved."""
        return {name: self.resolve(resource) for name, resource in TEMPLATE["Resources"].items()
                if "Condition" not in resource or self.condition(resource["Condition"])}

    def broken_rules(self) -> list[str]:
        """The descriptions of the assertions that do not hold."""
        return [assertion["AssertDescription"] for rule in TEMPLATE["Rules"].values() for assertion in rule["Assertions"]
                if not self.resolve(assertion["Assert"])]

    def condition(self, name: str) -> bool:
        return self.resolve(TEMPLATE["Conditions"][name])

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function in ("Ref", "Condition") or function.startswith("Fn::"):
                return self.call(function, argument)
        resolved = {name: self.resolve(item) for name, item in value.items() if name != "Condition" or isinstance(item, dict)}
        return {name: item for name, item in resolved.items() if item is not ABSENT}

    def call(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return self.ref(argument)
            case "Condition":
                return self.condition(argument)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.condition(condition) else otherwise)
            case "Fn::Equals":
                one, other = map(self.resolve, argument)
                return one == other
            case "Fn::Not":
                return not self.resolve(argument[0])
            case "Fn::Or":
                return any(map(self.resolve, argument))
            case "Fn::And":
                return all(map(self.resolve, argument))
            case "Fn::Select":
                index, items = map(self.resolve, argument)
                return items[int(index)]
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: self.reference(found[1]), argument)
            case "Fn::GetAtt":
                return self.attribute(argument if isinstance(argument, str) else ".".join(argument))
        raise NotImplementedError(function)

    def reference(self, name: str) -> str:
        return self.attribute(name) if "." in name else self.ref(name)

    def ref(self, name: str) -> Any:
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in PARAMETERS:
            text = self.texts[name]
            return [item.strip() for item in text.split(",")] if is_list(name) else text
        url = LONGEST_QUEUE_URL if TEMPLATE["Resources"][name]["Type"] == "AWS::SQS::Queue" else ""
        return url + self.physical_id(name)

    def physical_id(self, name: str) -> str:
        return "n" * PHYSICAL_IDS.get(TEMPLATE["Resources"][name]["Type"], 255)

    def attribute(self, name: str) -> str:
        return LONGEST_ARN_PREFIX + self.physical_id(name.partition(".")[0])
