"""What was captured: taken in, drawn, compared, sealed, kept as long as it has to be and no longer."""
