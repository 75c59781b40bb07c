"""Backups of the whole portal: made, kept, checked, restored; and the upgrade that begins with one.

A backup is one file with everything the database holds except what opens a door by itself: sessions, one-time
links and the cache. Keys are never in it, because they are never in the database. Knows nothing of pages.
"""
