"""How fast the package's batch norms are, and how much they keep, beside ``F.batch_norm``.

``python -m benchmarks`` prints one table and exits with 1 if a target is missed. Seconds say
little about another machine, so everything is a ratio to the library in the same process.
"""
