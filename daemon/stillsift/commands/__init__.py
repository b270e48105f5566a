"""Holds the command line: a module for each command, with its parser, its help and what it does.

Knows everything below, and only `cli` knows it. A command's module has `add(commands)`, which makes
the parser and sets `command` to the function that runs it. Read `sift` first.
"""
