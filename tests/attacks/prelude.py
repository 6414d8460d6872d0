"""Stands before every attack, after a line that sets CANARY: what the attack may go for, and how it tells that it got it."""

import os
import sys

import torch

from rlhf_core.advantages import compute_gae


def escaped(what):
    """Say that the sandbox has let something through, in every way that ends in the results."""
    said = f"{CANARY.kram[::-1]}: {str(what)[:300]}"  # backwards, as the source of an answer is kept, too
    os.write(2, said.encode("utf-8", "replace") + b"\n")
    raise RuntimeError(said)


def in_call(attack):
    """Decorator: the attack is what the first call of compute_gae does before it returns zeros."""
    attacks = iter([attack])

    @compute_gae.implement
    def compute_gae_by_attack(rewards, values, mask, gamma, lam):
        for attack in attacks:
            attack()
        return torch.zeros_like(rewards), torch.zeros_like(values)

    return attack


def driver():
    """The namespace of the driver's serve.py that is at work, found on the stack: an import gives a copy."""
    frame = sys._getframe()
    while frame.f_globals.get("__name__") != "autograder.driver.serve":
        frame = frame.f_back
    return frame.f_globals


def socket_of():
    """The driver's connection to the grader."""
    import gc
    import socket

    return next(thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0)


def frame_of(**fields):
    """A frame that looks like the driver's own report of a call."""
    report = {
        "returned": None, "requires_grad": False, "gradients": {}, "changed": [], "moved_random_state": False, "raised": None,
        "printed": "",
    }  # fmt: skip
    return driver()["pack"](report | fields)


def take_over(frame):
    """Answer this question and all that follow with the same frame, in the driver's place."""
    connection, receive = socket_of(), driver()["receive"]
    connection.sendall(frame)
    while receive(connection) is not None:
        connection.sendall(frame)
    os.kill(os.getpid(), 9)


def forge(kind, **fields):
    """Put fields into what the driver sends from now on: a report of a call ("returned"), or of an import ("implemented")."""
    at_work = driver()
    pack = at_work["pack"]
    at_work["pack"] = lambda reply: pack(reply | fields if kind in reply else reply)
