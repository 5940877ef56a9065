"""The command line: one file per command, one frame around them.

stdout carries results and stderr carries talk, so that `recollect ... --json | jq` always works. Nothing here computes
what a Python program could want: a command reads its options, calls a room and shows what comes back.
"""
