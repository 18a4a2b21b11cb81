"""Reads a request's values by botocore's shapes, and holds them against the shapes' constraints.

Readers turn XML and form data into values without losing what the model does not know: an unknown element becomes an unknown member.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StructureShape

UNKNOWN = "unknown:"


def read_text(shape: Shape, text: str) -> Any:
    """The value of a text on the wire; a text that is no such value stays a text, which `faults` reports."""
    if shape.type_name in ("integer", "long"):
        return int(text) if regex.fullmatch(r"[+-]?\d+", text) else text
    if shape.type_name in ("float", "double"):
        return float(text) if regex.fullmatch(r"[+-]?\d+(\.\d+)?", text) else text
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if shape.type_name == "blob":
        return base64.b64decode(text)
    return text


def read_xml(shape: Shape, element: ElementTree.Element) -> Any:
    """The value of an XML element."""
    if isinstance(shape, StructureShape):
        values: dict[str, Any] = {}
        for name, member in shape.members.items():
            if member.serialization.get("location"):
                continue
            wire_name = member.serialization.get("name", name)
            found = [child for child in element if local_name(child) == wire_name]
            if isinstance(member, ListShape) and member.serialization.get("flattened"):
                wire_name = member.serialization.get("name") or member.member.serialization.get("name", name)
                found = [child for child in element if local_name(child) == wire_name]
                if found:
                    values[name] = [read_xml(member.member, child) for child in found]
            elif member.serialization.get("xmlAttribute"):
                values |= {name: value for key, value in element.attrib.items() if key.rpartition("}")[2] == wire_name.rpartition(":")[2]}
            elif found:
                values[name] = read_xml(member, found[0])
                values |= {f"{UNKNOWN}{wire_name} again": None for _ in found[1:]}
        known = {wire for name, member in shape.members.items() for wire in wire_names(name, member)}
        values |= {f"{UNKNOWN}{local_name(child)}": None for child in element if local_name(child) not in known}
        return values
    if isinstance(shape, ListShape):
        wire_name = shape.member.serialization.get("name", "member")
        return [read_xml(shape.member, child) if local_name(child) == wire_name else {f"{UNKNOWN}{local_name(child)}": None}
                for child in element]
    return read_text(shape, element.text or "") if not len(element) else {f"{UNKNOWN}{local_name(element[0])}": None}


def wire_names(name: str, member: Shape) -> set[str]:
    names = {member.serialization.get("name", name)}
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        names = {member.serialization.get("name") or member.member.serialization.get("name", name)}
    return names


def local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def read_form(shape: Shape, form: dict[str, str], prefix: str = "") -> Any:
    """The value of form data, as IAM and STS take it. Removes what it has read from `form`."""
    if isinstance(shape, StructureShape):
        values = {}
        for name, member in shape.members.items():
            path = f"{prefix}.{name}" if prefix else name
            if any(key == path or key.startswith(f"{path}.") for key in form):
                values[name] = read_form(member, form, path)
        return values
    if isinstance(shape, ListShape):
        items = []
        while any(key == f"{prefix}.member.{len(items) + 1}" or key.startswith(f"{prefix}.member.{len(items) + 1}.") for key in form):
            items.append(read_form(shape.member, form, f"{prefix}.member.{len(items) + 1}"))
        return items
    return read_text(shape, form.pop(prefix)) if prefix in form else None


def faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a value: unknown members, missing members, types, enumerations, lengths, ranges and patterns."""
    kinds: dict[str, tuple[type, ...]] = {
        "structure": (dict,), "map": (dict,), "list": (list,), "string": (str,), "integer": (int,), "long": (int,), "float": (int, float),
        "double": (int, float), "boolean": (bool,), "blob": (bytes, str), "timestamp": (str, int, float, datetime),
    }
    is_boolean_number = isinstance(value, bool) and shape.type_name != "boolean"
    if not isinstance(value, kinds[shape.type_name]) or is_boolean_number:
        yield f"{path}: `{value}` is no {shape.type_name}"
        return
    if isinstance(shape, StructureShape):
        yield from structure_faults(shape, value, path)
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from faults(shape.member, item, f"{path}[{index}]")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from faults(shape.key, key, f"{path} key")
            yield from faults(shape.value, item, f"{path}.{key}")
    yield from constraint_faults(shape, value, path)


def structure_faults(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in value.keys() - shape.members.keys():
        yield f"{path}: `{name.removeprefix(UNKNOWN)}` is not in the model"
    for name in shape.required_members:
        if name not in value:
            yield f"{path}: `{name}` is missing"
    if shape.is_tagged_union and len(value) != 1:
        yield f"{path}: a union has one member, not {len(value)}"
    for name, member in shape.members.items():
        if name in value:
            yield from faults(member, value[name], f"{path}.{name}")


def constraint_faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    metadata = shape.metadata
    if metadata.get("enum") and value not in metadata["enum"]:
        yield f"{path}: `{value}` is none of {', '.join(metadata['enum'])}"
    if shape.type_name in ("string", "blob", "list", "map", "integer", "long", "float", "double"):
        size = value if isinstance(value, (int, float)) else len(value)
        if size < metadata.get("min", size) or size > metadata.get("max", size):
            yield f"{path}: {size} is not within {metadata.get('min')} and {metadata.get('max')}"
    if metadata.get("pattern") and isinstance(value, str) and not regex.search(java_pattern(metadata["pattern"]), value):
        yield f"{path}: `{value}` does not match `{metadata['pattern']}`"


def java_pattern(pattern: str) -> str:
    """The model's pattern, for the whole text as the services use it."""
    return f"^(?:{pattern})$"
