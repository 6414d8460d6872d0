"""Prints markup, control characters and half characters.

Earns: masked_mean 2
"""


@in_call
def attack():
    print("<script>alert(1)</script>\x1b[2J\x1b]52;c;b3duZWQ=\x07\u202e\ud800")
    os.write(1, b"\xff\xfe\x00\x9b2J<script>alert(1)</script>")
