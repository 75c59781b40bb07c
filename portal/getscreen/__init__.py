"""Where the remote API ends: a client for Getscreen.me Quick Support and a simulator that behaves like it.

Everything here but `configured` is free of Django and of the rest of the portal.
"""
