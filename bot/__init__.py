"""Who does it: the only package that knows time, tables and sockets."""

__version__ = "0.1.0"
