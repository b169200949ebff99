"""A topology of many machines, brought up from one of them, the controller, through Ansible.

::

    vecnet up lab.yaml ── playbook.py ══ ansible-playbook vecnet.uml.up ══ ssh ══ module topology ── agent.py ── host/
       (lab.py)              ▲                                                    on every host, with its part
                             └── events, a line of JSON each (ansible/plugins/callback/events.py)

Each host reads the whole file and does its own part: all find the same (`Topology.on`). The collection `vecnet.uml`
lies in ansible/ of the source, and below ansible_collections/ here, where Ansible looks for it.

| file | subject |
|---|---|
| lab.py | plan, up, status and down of all hosts, and what they answer |
| playbook.py | running a playbook of the collection, and its events |
| inventory.py | how Ansible reaches the hosts of a topology |
| configured.py | what Ansible is configured to, and inventories, as its own programs read them |
| reach.py | how a command with pipes is started there, without Ansible |
| proof.py | loopback of all hosts |
| agent.py | what is done on a host: one request, one answer |
"""
