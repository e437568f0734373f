"""What tablets send and fetch: changes in and states out, files in parts, couriers; the tablets themselves, their leases and shifts."""
