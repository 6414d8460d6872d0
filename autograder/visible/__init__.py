"""The checks that a learner sees, one module a lesson."""
