"""Files and what may be done with them: opened, redacted, released, let out; photos that look alike; grades."""
