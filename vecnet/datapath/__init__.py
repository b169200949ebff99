"""The datapath: opens a vec string and plays the guest's NIC.

It never imports the host wing: the two meet at the string.
"""
