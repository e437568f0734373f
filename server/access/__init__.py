"""Who may do what: people, their grants, their devices, and how a device shows that it is itself."""
