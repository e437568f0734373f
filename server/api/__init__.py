"""JSON over HTTP for tablets. Routes are thin: authenticate, parse, call one function, answer."""
