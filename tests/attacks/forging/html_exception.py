"""Reports an exception whose type is markup.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(
        frame_of(raised=["<script>alert(1)</script>", "<img src=x onerror=alert(1)>\x1b[2J\u202e", "</pre><script>1</script>"])
    )
