"""Raises an exception whose name and text are markup and control characters.

Earns: masked_mean 2
"""


class Evil(Exception):
    pass


Evil.__name__ = Evil.__qualname__ = "</td><script>alert(1)</script>"


@in_call
def attack():
    raise Evil(
        "<img src=x onerror=alert(1)>\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2066\r\n\x00=cmd|' /C calc'!A1 {{ 7*7 }} ${7*7}"
    )
