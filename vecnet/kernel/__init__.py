"""The host kernel's bytes and namespaces, without a word of what vecnet makes of them.

| file | what |
|---|---|
| `libc.py` | system calls that Python has no functions for: the one ctypes |
| `netlink.py` | the socket: batches, dumps, and the walk over attributes |
| `namespaces.py` | network namespaces, each with its sockets |
| `rtnl.py` | interfaces and addresses |
| `netem.py` | the queueing discipline that impairs, and whose a root one is |
| `genl.py` | generic netlink's families |
| `ethtool.py`, `l2tp.py` | two of these: features; L2TP's tunnels and sessions |
| `encode.py`, `template.py` | messages, encoded by pyroute2 once for each shape, and stamped |
| `unix_sockets.py`, `inet_sockets.py` | who has a Unix socket's path, or a UDP port |
| `capabilities.py`, `accounts.py` | what this process may do; users and groups in a user namespace |
| `brief_folder.py` | a folder for a moment, which goes even if its process is killed |
| `left_behind.py` | processes that still hold an interface that is gone |
| `unforeseen.py` | an OSError that nobody foresaw, in words |
| `bpf.py` | filters in pcap's language |
| `probe.py` | whether this kernel has a kind of interface or a protocol |
"""
