"""Exercises with a state, a model or randomness are put to work here, one module an exercise.

A scenario takes the implementation and plain data, and hands back plain data: tensors, numbers, strings, lists and dicts of
them.  It judges nothing.
"""
