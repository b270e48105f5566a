"""Holds the command line: a module for each command, with its parser, its help and what it does.

Knows everything below; only `cli` knows it. Each command's module has `add(commands)`, which makes
the parser and sets `command` to the function that runs it. Read `sift` first.
"""
