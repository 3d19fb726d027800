"""Measurements that take minutes: serving beside what others use."""
