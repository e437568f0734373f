"""The tablet's side: capture without a network, show what is known, and bring it home without loss."""
