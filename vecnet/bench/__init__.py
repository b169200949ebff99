"""vecnet bench: how fast ports move frames and wires are made, as ratios to references measured in the same run.

| file | subject |
|---|---|
| run.py | a whole run, step by step: the front door |
| figures.py | what is measured, with how much effort, and the figures, as data |
| table.py, chart.py | … for people |
| wires.py | the wires of every transport, in a private network |
| loads.py | the frames that are moved |
| measure.py, native.py | a port next to a bare loop on the same sockets, taking turns |
| from_python.py | the same wires driven from Python: whole batches, Scapy, a plain socket loop |
| guests.py | a real guest on the same strings: small packets, iperf3 |
| settings.py | real guests of any kernels, with other settings than a topology chooses |
| switch.py | the switch, next to `forward`, to more of its ports, and to vde_switch and uml_switch |
| guest_through_switch.py | a real guest's TCP through the switch, next to its TCP on a tap |
| streams.py | a host's TCP through `forward`, next to the kernel's bridge |
| place.py | namespaces, interfaces in them, and which processor |
| commands.py | vecnet's commands next to `ip`: many links made and removed, and starting |
"""

from __future__ import annotations

from vecnet.bench.figures import QUICK, Effort, Figures
from vecnet.bench.run import LENGTHS, Wanted, run

__all__ = ["LENGTHS", "QUICK", "Effort", "Figures", "Wanted", "run"]
