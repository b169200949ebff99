"""The published JSON Schema: equal to what the keys give, and of one mind with the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.topology.broken import CASES, MARK
from tests.topology.broken.endpoints import ENDPOINTS
from tests.topology.broken.structure import STRUCTURE
from tests.topology.broken.values import VALUES
from vecnet.topology import schema
from vecnet.transports import TRANSPORTS

EXAMPLES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
# what a schema cannot say, since it is about values of several places, or about YAML itself
BEYOND = {
    "a guest's interface",  # or the port of a switch that is not declared
    "a space behind the colon",
    "a guest of no link",
    "a kernel that is none",
    "a binary that is no kernel",
    "a transport that the kernel lacks",
    "one at a time in a tunnel",
    "one at a time by default",
    "a key twice",
    "a key that is a list",
    "a foreign tag",
    "merge of a word",
    "an end used twice",
    "a link to itself",
    "two hosts",
    "the host and elsewhere",
}


class Yaml12(yaml.SafeLoader):
    """YAML 1.2's core schema, in which editors read."""


Yaml12.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("merge", r"^<<$", ["<"]),
):
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)


class Yaml11(yaml.SafeLoader):
    """YAML 1.1, but for keys: `on`, of a guest, is one, and a JSON document has no other than texts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema.schema())


def read(text: str, loader: Any) -> Any:
    return yaml.load(text, Loader=loader)  # the tests' own texts


def test_the_packaged_file_is_the_generated_one() -> None:
    assert schema.PATH.read_text() == schema.text(), "run: python -m vecnet.topology.schema"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.PATH.read_text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("loader", [Yaml12, Yaml11])
def test_it_takes_every_example_in_both_readings(path: Path, loader: Any) -> None:
    assert list(validator().iter_errors(read(path.read_text(), loader))) == []


@pytest.mark.parametrize("name", [*STRUCTURE, *ENDPOINTS, *VALUES])
def test_it_refuses_what_the_loader_refuses(name: str) -> None:
    if name in BEYOND:
        return
    document = read(CASES[name][0].replace(MARK, ""), Yaml12)
    assert not validator().is_valid(document)


def test_the_keys_offered_depend_on_the_transport() -> None:
    """What an editor completes: each transport has its own keys, at the link and at both ends."""
    defs: Any = schema.schema()["$defs"]
    assert set(TRANSPORTS) < set(defs)
    assert "encap" in defs["l2tpv3"]["properties"]
    assert "encap" not in defs["tap"]["properties"]
    long = defs["tap"]["properties"]["endpoints"]["oneOf"][0]["patternProperties"]
    host = next(keys["properties"] for pattern, keys in long.items() if pattern.startswith("^host"))
    guest = next(keys["properties"] for pattern, keys in long.items() if ":vec(" in pattern)
    assert "owner" in host
    assert "owner" not in guest
    assert all(part["description"] for part in (*host.values(), *guest.values()))
