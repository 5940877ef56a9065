"""Benchmarks: how long recollect's main jobs take, beside the ways that others would do them.

All ways of one table run in turn, round after round, in one process, so that another job on the machine hits all of
them alike; medians and quartiles over the rounds, and ratios of medians. Speed is never a test: a missed target is said
plainly and the exit code stays 0. `make bench` runs it; `docs/performance.md` holds the last numbers.
"""
