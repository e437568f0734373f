"""A day's work as acts on a tablet, shared by the command line and the touch screen."""
