"""The platform's conventions: sockets, a case in, a mask out."""
