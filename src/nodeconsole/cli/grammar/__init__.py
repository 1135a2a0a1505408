"""The words and options of the command line, by subject; nothing here does what they say."""
