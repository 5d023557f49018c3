"""OCPP 1.6J, with the messages of its security whitepaper."""
