"""Converts the packaged template for StackSets: expands the SAM transform, and uses a code bucket in each Region.

StackSets with service-managed permissions refuse templates with macros. Lambda loads code only from a bucket in the function's own
Region. So this program reads the output of `sam package` from standard input, expands the transform, and makes the name of the code
bucket depend on the stack's Region.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def replace_bucket(value: Any, packaged_bucket: str, regional_bucket: str) -> Any:
    """Returns `value` with the name of the packaged bucket replaced by the name of the bucket in the stack's Region."""
    if isinstance(value, dict):
        return {name: replace_bucket(item, packaged_bucket, regional_bucket) for name, item in value.items()}
    if isinstance(value, list):
        return [replace_bucket(item, packaged_bucket, regional_bucket) for item in value]
    return {"Fn::Sub": regional_bucket} if value == packaged_bucket else value


def expand(template: str) -> dict[str, Any]:
    """Returns the template after SAM's transform, which resolves the Region only where a template names none.

    A request takes 51,200 bytes of template, so what only the SAM CLI and this repository's checks read is left out.
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    expanded = Translator({}, Parser()).translate(yaml_parse(template), {})
    for resource in expanded["Resources"].values():
        resource.pop("Metadata", None)
        if definition := resource["Properties"].get("DefinitionString"):
            resource["Properties"]["DefinitionString"] = on_one_line(definition)
    return expanded


def on_one_line(definition: dict[str, Any]) -> str:
    """The definition of a state machine, which the transform gives as indented lines to be joined."""
    _, lines = definition["Fn::Join"]
    return "".join(map(str.strip, lines))


def as_text(template: dict[str, Any]) -> str:
    """The template without white space, which would count towards the limit of a request."""
    return json.dumps(template, separators=(",", ":"))


def main(bucket: str, region: str) -> None:
    template = expand(sys.stdin.read())
    sys.stdout.write(as_text(replace_bucket(template, f"{bucket}-{region}", f"{bucket}-${{AWS::Region}}")))


if __name__ == "__main__":
    main(*sys.argv[1:])
