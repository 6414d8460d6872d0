"""Grading a class: submissions of strangers, each in a sandbox, with checks, seeds and points outside of it."""
