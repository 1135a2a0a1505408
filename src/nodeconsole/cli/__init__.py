"""The command line: one parser tree, one function per command. Never loads Textual, Quart or the scheduler's engine."""
