"""Devices into a guest that runs, and its management console; real guests are in tests/uml/test_plug.py."""
