"""The datapath: opens a vec string and plays the guest's NIC, or a switch with many of them.

It never imports the host wing: the two meet at the string.

| file | subject |
|---|---|
| port.py | a port: what people open, with its locks |
| awaiting.py | a port in asyncio |
| switch.py | a learning switch over ports |
| loops.py | loops that move frames in C: generate, drain, reflect, forward |
| pump.py | a program's stream of frames, as packets for a port |
| record.py, capture.py | recordings written, and captures replayed |
| interface.py | what crosses an interface of the host, recorded |
| impaired.py | a port whose frames suffer |
| native.py, native_switch.py | the doors to C |
| failures.py | C's -errno as exceptions with advice |
"""
