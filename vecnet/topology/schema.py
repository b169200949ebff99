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
_ENDPOINTS = "the two ends: guest:vecN, host:ifname, switch:port, outside:program, elsewhere:device; ifname of a host"
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_NAMED = f"^(?!(host|outside|elsewhere)$){_NAME}$"
_NODE = f"(?!(host|outside|elsewhere):){_NAME}"
_ELSEWHERE_END = f"^{ELSEWHERE}:{_NAME}$"
_GUEST_END = f"^{_NODE}:{grammar.GUEST_IFNAME}$"
_NAMED_END = f"^{_NODE}:(?!vec[0-9]+$)({_NAME}|{NewIfName.PATTERN})$"  # of a switch, or of a host that the file names


def schema() -> Schema:
    """The whole schema."""
    top: dict[str, Schema] = {
        "name": grammar.NAME["name"].kind.schema(),
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
            "patternProperties": {f"^({_NODE}:)?{NewIfName.PATTERN}$": _mapping(grammar.BRIDGE)},
            "additionalProperties": False,
        },
        "hosts": {
            "type": ["object", "null"],
            "patternProperties": {_NAMED: _mapping(grammar.HOST_KEYS)},
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
        "if": {"properties": {"hosts": {"type": "object", "minProperties": 1}}, "required": ["hosts"]},
        "else": {"properties": {"links": {"items": {"$ref": "#/$defs/alone"}}}},
        "$defs": {"link": _link(), "alone": _alone(), **{name: _transport(kind) for name, kind in TRANSPORTS.items()}},
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


def _alone() -> Schema:
    """A link of one machine: nothing that is left out is a host's own."""
    by_host = {name: key for kind in TRANSPORTS.values() for name, key in grammar.end_keys(kind).items() if key.by_host}
    tunnels = [name for name, kind in TRANSPORTS.items() if by_host.keys() & grammar.end_keys(kind).keys()]
    return {
        "if": {"properties": {"transport": {"enum": tunnels}}, "required": ["transport"]},
        "then": {
            "properties": {
                "endpoints": {"type": "object", "additionalProperties": {"type": "object", "required": list(by_host)}}
            }
        },
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
    at_switch = grammar.end_keys(transport, SWITCH, hosts=True)
    near = {_GUEST_END: [grammar.end_keys(transport, hosts=True)], _NAMED_END: [at_switch]}
    far = {f"^{OUTSIDE}:{name}$": [grammar.end_keys(transport, OUTSIDE, name)] for name in grammar.programs(transport)}
    if transport.sides is not Sides.OUTSIDE_AND_GUEST:
        far[_HOST_END] = [grammar.end_keys(transport, HOST)]
        near[_NAMED_END] = [at_switch, grammar.end_keys(transport, HOST, hosts=True)]
    if keys := grammar.end_keys(transport, ELSEWHERE):
        far[_ELSEWHERE_END] = [keys]
    ends = {**far, **near}
    long: Schema = {
        "type": "object",
        "minProperties": 2,
        "maxProperties": 2,
        "patternProperties": {
            pattern: _mapping(kinds[0]) if len(kinds) == 1 else {"anyOf": [_mapping(keys) for keys in kinds]}
            for pattern, kinds in ends.items()
        },
        "additionalProperties": False,
    }
    forms = [long]
    short = [
        pattern
        for pattern, kinds in ends.items()
        if any(not any(key.required for key in keys.values()) for keys in kinds)
    ]
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
