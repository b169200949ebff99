"""What there is of topologies, as counted at one moment: interfaces, served switches' ports, running guests' devices.

| file | subject |
|---|---|
| state.py | the moment |
| rates.py | what happened between two |
| prometheus.py | … in the format that Prometheus reads |
"""
