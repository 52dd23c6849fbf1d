"""The console on this machine: its page, and what the page asks for, from one server."""
