"""Ids of answers, what each was given for, and the times of their labels."""
