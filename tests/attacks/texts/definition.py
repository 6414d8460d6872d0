"""Is named and documented by markup, with a file name of its own.

Earns: masked_mean 2
"""

source = '''
@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    """</pre><script>alert(1)</script>"""
    raise ValueError("<b>x</b>")
'''
exec(compile(source, "<img src=x onerror=alert(1)>", "exec"))
