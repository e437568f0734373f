"""What leaves and enters the tablet: its own changes, files on their way, what the server told, couriers, and the ledger of all that."""
