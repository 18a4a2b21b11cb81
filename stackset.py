"""The packaged template as StackSets take it: without the SAM transform, and with the code in a bucket of each Region.

StackSets with service-managed permissions refuse templates with macros, and Lambda loads code from a bucket in the function's own
Region. So this expands on standard input what `sam package` wrote, and names the bucket after the Region that the stack is in.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def with_bucket_of_region(value: Any, packaged: str, of_region: str) -> Any:
    """`value`, in which the name of the bucket that was packaged to has become the one of the stack's Region."""
    if isinstance(value, dict):
        return {name: with_bucket_of_region(each, packaged, of_region) for name, each in value.items()}
    if isinstance(value, list):
        return [with_bucket_of_region(each, packaged, of_region) for each in value]
    return {"Fn::Sub": of_region} if value == packaged else value


def main(bucket: str, region: str) -> None:
    template = Translator({}, Parser()).translate(yaml_parse(sys.stdin.read()), {})
    json.dump(with_bucket_of_region(template, f"{bucket}-{region}", f"{bucket}-${{AWS::Region}}"), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
