"""Every combination of parameters that the template accepts stays within the limits of IAM and Lambda.

The sizes are computed from the template itself, so a new parameter or statement is covered when it is added. IAM does not count white
space. Lambda measures the environment as JSON, in which each quotation mark of a value counts twice.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from template import PARAMETERS, TEMPLATE, Deployment, is_list

INLINE_POLICIES_OF_A_ROLE, MANAGED_POLICY, TRUST_POLICY = 10_240, 6_144, 2_048
MANAGED_POLICIES_OF_A_ROLE = 10
ENVIRONMENT = 4_096
# CloudFormation's limit of any parameter, in bytes. `MaxLength` exists for strings only.
PARAMETER = 4_096
SSM_PARAMETER = 4_096

# The shortest items: the more items a text has, the longer it is as JSON.
SHORTEST_ITEMS = {"DestinationRoleArns": "arn:aws:iam::111122223333:role/x", "ExtendableRoleArns": "arn:aws:iam::111122223333:role/x",
                  "DestinationAccounts": "111122223333"}


def filled(item: str) -> str:
    """A list of as many items as a parameter can have."""
    items = [item] * (PARAMETER // (len(item) + 1))
    return ",".join(items) + "x" * (PARAMETER - len(",".join(items)))


def longest(name: str) -> str:
    """The longest value of a parameter, whatever its pattern: it turns on whatever the parameter turns on."""
    parameter = PARAMETERS[name]
    if is_list(name):
        return filled(SHORTEST_ITEMS[name])
    if "AllowedValues" in parameter:
        return "true" if "true" in parameter["AllowedValues"] else max(map(str, parameter["AllowedValues"]), key=len)
    return "x" * parameter["MaxLength"] if parameter["Type"] == "String" else str(parameter["MaxValue"])


def roles(account: str, number: int, name: str) -> str:
    return ",".join(f"arn:aws:iam::{account}:role/{name}-{index:03}" for index in range(number))


EVERYTHING = {name: longest(name) for name in PARAMETERS}
OPTIONS = {name: "true" for name in PARAMETERS if name.startswith("Allow") and "AllowedValues" in PARAMETERS[name]}
COMBINATIONS = {
    "defaults": {},
    "every parameter at its longest, with the policy": {**EVERYTHING, "ReplicationPolicyParameter": ""},
    "every parameter at its longest, with the policy's parameter": {**EVERYTHING, "ReplicationPolicy": ""},
    "77 roles of other accounts with all options": {**OPTIONS, "DestinationRoleArns": roles("444455556666", 77, "s3-kms-replication")},
    "25 extendable roles with all options": {**OPTIONS, "ExtendableRoleArns": roles("111122223333", 25, "r" * 60)},
    "a role path of 512 characters with all options": {**OPTIONS, "RolePath": f"/{'p' * 510}/"},
    "a long boundary": {**OPTIONS, "RolePermissionsBoundaryArn": longest("RolePermissionsBoundaryArn")},
    "a policy of quotation marks": {"ReplicationPolicy": '"' * PARAMETERS["ReplicationPolicy"]["MaxLength"]},
}
combinations = pytest.mark.parametrize("parameters", COMBINATIONS.values(), ids=COMBINATIONS.keys())


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


@combinations
def test_invariant_8_policies_of_every_role_fit_into_what_iam_allows(parameters: dict[str, str]) -> None:
    deployed = Deployment(**parameters).resources()
    too_long = {}
    for name, role in of_type(deployed, "AWS::IAM::Role").items():
        separate = [policy["PolicyDocument"] for policy in of_type(deployed, "AWS::IAM::Policy").values() if name == "WalkRole"]
        inline = sum(map(size, [*(policy["PolicyDocument"] for policy in role["Policies"]), *separate]))
        if inline > INLINE_POLICIES_OF_A_ROLE or size(role["AssumeRolePolicyDocument"]) > TRUST_POLICY:
            too_long[name] = inline
        assert len(role.get("ManagedPolicyArns", [])) <= MANAGED_POLICIES_OF_A_ROLE
    for name, policy in of_type(deployed, "AWS::IAM::ManagedPolicy").items():
        assert policy["PolicyDocument"]["Statement"], f"`{name}` grants nothing, which IAM refuses"
        if size(policy["PolicyDocument"]) > MANAGED_POLICY:
            too_long[name] = size(policy["PolicyDocument"])

    assert too_long == {}


@combinations
def test_environment_fits_into_what_lambda_allows(parameters: dict[str, str]) -> None:
    variables = Deployment(**parameters).resources()["Function"]["Properties"]["Environment"]["Variables"]

    assert size(variables) <= ENVIRONMENT


def test_every_parameter_has_a_limit() -> None:
    """Without one, no combination could be the longest."""
    unlimited = [name for name, parameter in PARAMETERS.items() if not is_list(name)
                 and not {"AllowedValues", "MaxLength", "MaxValue"} & parameter.keys()]
    assert unlimited == []
    assert sorted(filter(is_list, PARAMETERS)) == sorted(SHORTEST_ITEMS)
    assert all(len(filled(item)) == PARAMETER for item in SHORTEST_ITEMS.values())
    assert PARAMETERS["ReplicationPolicy"]["MaxLength"] <= SSM_PARAMETER


def test_every_managed_policy_is_attached_to_the_execution_role() -> None:
    deployed = Deployment(**EVERYTHING).resources()
    attached = TEMPLATE["Resources"]["ExecutionRole"]["Properties"]["ManagedPolicyArns"]

    assert [arn["Fn::If"][1]["Ref"] for arn in attached] == list(of_type(deployed, "AWS::IAM::ManagedPolicy"))


@pytest.mark.parametrize(("parameters", "broken"), [
    ({}, 0),
    ({"ReplicationPolicy": "{}"}, 0),
    ({"ReplicationPolicyParameter": "/policy"}, 0),
    ({"ReplicationPolicy": "{}", "ReplicationPolicyParameter": "/policy"}, 1),
    ({"OrganizationId": "o-a1b2c3d4e5", "OrganizationRoleName": "setup"}, 0),
    ({"OrganizationId": "o-a1b2c3d4e5"}, 1),
    ({"OrganizationRoleName": "setup"}, 1),
])
def test_parameters_that_contradict_each_other_are_refused(parameters: dict[str, str], broken: int) -> None:
    assert len(Deployment(**parameters).broken_rules()) == broken
