"""Atomic tests run on this machine, recorded by its kernel's audit, and given to the same hunt as any log.

`atomics` loads them, `trials.validate` runs and weighs them. A test runs as a user that exists for it only, in a
network of its own, and what it leaves behind is looked for from outside.
"""
