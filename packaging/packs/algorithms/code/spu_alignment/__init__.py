"""Sample alignment by `spu.psi`, whose messages go through the node's channel."""
