"""vecnet bench: how fast ports move frames, as ratios to references that are measured in the same run.

| file | subject |
|---|---|
| wires.py | the wires of every transport, in a private network |
| measure.py | a port next to a bare loop on the same sockets, taking turns |
| references.py | the same wires driven from Python: whole batches, Scapy, a plain socket loop |
| stream.py | a host's TCP through `forward`, next to the kernel's bridge |
| guests.py | a real guest on the same strings |
| result.py | the figures, as data |
| report.py | … as a table, JSON, a chart |
"""
