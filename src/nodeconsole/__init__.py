"""The operator's side of a privacy-computing node: terminal app, command line and launcher."""

__version__ = "0.1.0"
