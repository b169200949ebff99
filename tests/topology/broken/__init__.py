"""The table of broken topologies, a file a subject: by name, the text with ▸ before the place that the error names, a
part of the sentence, and a part of what to write instead.
"""

from __future__ import annotations

from tests.topology.broken.clashes import CLASHES
from tests.topology.broken.endpoints import ENDPOINTS
from tests.topology.broken.guests import GUESTS
from tests.topology.broken.hosts import HOSTS
from tests.topology.broken.structure import STRUCTURE
from tests.topology.broken.switches import SWITCHES
from tests.topology.broken.syntax import SYNTAX
from tests.topology.broken.together import TOGETHER
from tests.topology.broken.values import VALUES

MARK = "▸"
TABLES = (SYNTAX, STRUCTURE, ENDPOINTS, VALUES, TOGETHER, CLASHES, GUESTS, SWITCHES, HOSTS)
CASES = {name: case for table in TABLES for name, case in table.items()}
