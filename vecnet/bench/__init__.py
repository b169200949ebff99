"""vecnet bench: how fast ports move frames and wires are made, as ratios to references measured in the same run.

| file | subject |
|---|---|
| wires.py | the wires of every transport, in a private network |
| loads.py | the frames that are moved |
| measure.py | a port next to a bare loop on the same sockets, taking turns |
| python.py | the same wires driven from Python: whole batches, Scapy, a plain socket loop |
| guests.py | a real guest on the same strings: small packets, iperf3 |
| streams.py | a host's TCP through `forward`, next to the kernel's bridge |
| ends.py | … and its ends: namespaces, interfaces, which processor |
| making.py | vecnet's commands next to `ip`: many links made and removed, and starting |
| result.py | the figures, as data |
| table.py, chart.py | … for people |
"""
