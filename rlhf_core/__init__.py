"""The textbook: the exercises of the course, and the machinery around them."""

from .exercise import NotImplementedYet, SignatureMismatch, use

__all__ = ["NotImplementedYet", "SignatureMismatch", "use"]
