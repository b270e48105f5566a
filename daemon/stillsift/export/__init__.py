"""Writes kept frames as data sets that trainers and labelling tools read.

Knows nothing of the command line, nor of how a frame is decided. A folder remembers what was
exported into it, so that the next export adds what is new. Read `exporting` first, then `folder`
and the module of one format.
"""
