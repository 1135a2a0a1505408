"""Imitations of other vendors' nodes over real HTTP: what they ask for, what they answer, where they differ and fail.

They are written from what is known of those programs, and are strict on purpose: what the real one refuses, overlooks
or crashes on, these do too. They compute nothing; a task of theirs takes `work` seconds and then succeeds or fails.
"""
