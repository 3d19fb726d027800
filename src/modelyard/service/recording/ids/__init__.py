"""Ids of answers, and what each was given for."""
