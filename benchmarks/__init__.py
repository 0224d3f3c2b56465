"""How fast the package is, and how much memory it keeps, beside torch and torchvision.

``python -m benchmarks`` prints tables and exits with 1 if a target is missed. Seconds say
little about another machine, so everything is a ratio to the library in the same process.
"""
