"""The console family: what the terminal app and the command line call, over the node's unix socket only."""
