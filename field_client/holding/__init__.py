"""Who may open this tablet: its keys, their lease, a forgotten PIN, revocation, officers' own keys."""
