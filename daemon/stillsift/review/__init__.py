"""Shows a store in a browser, or as a report: what came in, what was kept and why, pair by pair;
takes corrections.

Knows nothing of how frames are decided, nor of the command line. Read `application` first (which
addresses there are), then `pages`.
"""
