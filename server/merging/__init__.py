"""What people decide about copies that differ: conflicts, sweeps, a second person, and institutions that may be one."""
