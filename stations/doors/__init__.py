"""Doors for files: HTTP beside the sockets of the gateway, FTP as a role of its own."""
