"""How long a command takes from the REST call to the station's socket. See docs/performance.md."""
