"""The JSON Schema of the topology file, generated from the same keys that the loader reads by.

`python -m vecnet.topology.schema` writes it beside this file. It tells an editor what can be written where; what goes
together only as a whole (clashes, MTUs, families) is the loader's to say. Source: JSON Schema draft 2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from vecnet.topology import grammar
from vecnet.transports import TRANSPORTS, Transport
from vecnet.transports.link import ELSEWHERE, HOST, OUTSIDE, SWITCH, Key, Sides
from vecnet.values import NewIfName, Schema

PATH = Path(__file__).with_name("topology.schema.json")

_HOST_END = f"^host:{NewIfName.PATTERN}$"
_ENDPOINTS = "the two ends: guest:vecN, host:ifname, switch:port, outside:program, elsewhere:device"
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_NAMED = f"^(?!(host|outside|elsewhere)$){_NAME}$"
_NODE = f"(?!(host|outside|elsewhere):){_NAME}"
_ELSEWHERE_END = f"^{ELSEWHERE}:{_NAME}$"
_GUEST_END = f"^{_NODE}:{grammar.GUEST_IFNAME}$"
_SWITCH_END = f"^{_NODE}:(?!vec[0-9]+$){_NAME}$"


def schema() -> Schema:
    """The whole schema."""
    top: dict[str, Schema] = {
        "name": grammar.NAME.kind.schema(),
        "defaults": _mapping(grammar.COMMON),
        "guests": {
            "type": ["object", "null"],
            "patternProperties": {_NAMED: _mapping(grammar.GUEST)},
            "additionalProperties": False,
        },
        "switches": {
            "type": ["object", "null"],
            "patternProperties": {_NAMED: _mapping(grammar.SWITCH_KEYS)},
            "additionalProperties": False,
        },
        "links": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/link"}},
        "bridges": {
            "type": ["object", "null"],
            "patternProperties": {f"^{NewIfName.PATTERN}$": _mapping(grammar.BRIDGE)},
            "additionalProperties": False,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vecnet topology",
        "description": "The wires between User Mode Linux guests and their host.",
        "type": "object",
        "required": ["links"],
        "additionalProperties": False,
        "properties": {key: {"description": grammar.TOPOLOGY[key], **part} for key, part in top.items()},
        "$defs": {"link": _link(), **{name: _transport(kind) for name, kind in TRANSPORTS.items()}},
    }


def _link() -> Schema:
    """Any link: its transport decides about the rest, so that an editor completes what fits."""
    return {
        "type": "object",
        "required": ["transport", "endpoints"],
        "properties": {"transport": {"enum": list(TRANSPORTS), "description": "how frames travel"}},
        "allOf": [
            {
                "if": {"properties": {"transport": {"const": name}}, "required": ["transport"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in TRANSPORTS
        ],
    }


def _transport(transport: type[Transport]) -> Schema:
    reference = (transport.__doc__ or "").splitlines()[0]
    properties: dict[str, Schema] = {
        "transport": {"const": transport.name},
        "endpoints": {
            "description": _ENDPOINTS,
            "oneOf": list(_endpoints(transport)),
        },
        **_properties(grammar.link_keys(transport)),
    }
    return {"description": reference, "type": "object", "properties": properties, "additionalProperties": False}


def _endpoints(transport: type[Transport]) -> list[Schema]:
    """The long form, and the short one where no end has a key that it needs."""
    near = {_GUEST_END: grammar.end_keys(transport), _SWITCH_END: grammar.end_keys(transport, SWITCH)}
    far = {f"^{OUTSIDE}:{name}$": grammar.end_keys(transport, OUTSIDE, name) for name in grammar.programs(transport)}
    if transport.sides is not Sides.OUTSIDE_AND_GUEST:
        far[_HOST_END] = grammar.end_keys(transport, HOST)
    if keys := grammar.end_keys(transport, ELSEWHERE):
        far[_ELSEWHERE_END] = keys
    ends = {**far, **near}
    long: Schema = {
        "type": "object",
        "minProperties": 2,
        "maxProperties": 2,
        "patternProperties": {pattern: _mapping(keys) for pattern, keys in ends.items()},
        "additionalProperties": False,
    }
    forms = [long]
    short = [pattern for pattern, keys in ends.items() if not any(key.required for key in keys.values())]
    if set(short) & set(near):
        rules: list[Schema] = [{"contains": {"anyOf": [{"pattern": pattern} for pattern in near]}}]
        if transport.sides is not Sides.ANY:
            alone = [_GUEST_END] if transport.at_switch else list(near)
            one = {"anyOf": [{"pattern": pattern} for pattern in alone]}
            rules.append({"contains": one, "minContains": 0, "maxContains": 1})
        items = {"type": "string", "anyOf": [{"pattern": pattern} for pattern in short]}
        forms.append({"type": "array", "minItems": 2, "maxItems": 2, "items": items, "allOf": rules})
    return forms


def _mapping(keys: Mapping[str, Key]) -> Schema:
    required = [name for name, key in keys.items() if key.required]
    form: Schema = {"type": "object" if required else ["object", "null"], "properties": _properties(keys)}
    if required:
        form["required"] = required
    return {**form, "additionalProperties": False}


def _properties(keys: Mapping[str, Key]) -> dict[str, Schema]:
    properties = {}
    for name, key in keys.items():
        form: Schema = key.kind.schema()
        if key.many:
            form = {"anyOf": [form, {"type": "array", "items": form}]}
        properties[name] = {"description": key.doc, **form}
    return properties


def text() -> str:
    """The schema as the packaged file holds it."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
