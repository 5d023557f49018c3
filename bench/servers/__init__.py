"""Which server should hold the gateway's sockets: the same ASGI echo under each."""
