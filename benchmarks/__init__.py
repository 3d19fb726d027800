"""Measurements that take minutes: serving beside other servers, and training beside a textbook script.

What a person can resolve is a `ModelyardError` everywhere in here: it ends the run, as one line on stderr.
"""
