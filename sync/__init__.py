"""How copies become one: the pure core, one round between a replica and a peer, and couriers."""
