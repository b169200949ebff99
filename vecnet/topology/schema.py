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
from vecnet.transports.link import ELSEWHERE, HOST, OUTSIDE, Key, Sides
from vecnet.values import NewIfName, Schema

PATH = Path(__file__).with_name("topology.schema.json")

_HOST_END = f"^host:{NewIfName.PATTERN}$"
_ELSEWHERE_END = f"^{ELSEWHERE}:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,63}}$"
_GUEST_END = rf"^(?!(host|outside|elsewhere):)[A-Za-z0-9_][A-Za-z0-9_.-]{{0,63}}:{grammar.GUEST_IFNAME}$"


def schema() -> Schema:
    """The whole schema."""
    top: dict[str, Schema] = {
        "name": grammar.NAME.kind.schema(),
        "defaults": _mapping(grammar.COMMON),
        "guests": {
            "type": ["object", "null"],
            "patternProperties": {
                "^(?!(host|outside|elsewhere)$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$": _mapping(grammar.GUEST)
            },
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
        "endpoints": {"description": "the two ends: guest:vecN, host:ifname", "oneOf": list(_endpoints(transport))},
        **_properties(grammar.link_keys(transport)),
    }
    return {"description": reference, "type": "object", "properties": properties, "additionalProperties": False}


def _endpoints(transport: type[Transport]) -> list[Schema]:
    """The long form, and the short one where no end has a key that it needs."""
    where = OUTSIDE if transport.sides is Sides.OUTSIDE_AND_GUEST else HOST
    far = f"^{OUTSIDE}:{transport.program}$" if where == OUTSIDE else _HOST_END
    host, guest = grammar.end_keys(transport, where), grammar.end_keys(transport)
    keys = grammar.end_keys(transport, ELSEWHERE)
    elsewhere = {_ELSEWHERE_END: _mapping(keys)} if keys else {}
    long: Schema = {
        "type": "object",
        "minProperties": 2,
        "maxProperties": 2,
        "patternProperties": {far: _mapping(host), **elsewhere, _GUEST_END: _mapping(guest)},
        "additionalProperties": False,
    }
    forms = [long]
    if not any(key.required for key in (*host.values(), *guest.values())):
        both = {"anyOf": [{"pattern": far}, {"pattern": _GUEST_END}]}
        short: Schema = {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "string", **both},
            "contains": {"pattern": _GUEST_END},
        }
        if transport.sides is not Sides.ANY:
            short["maxContains"] = 1
        forms.append(short)
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
