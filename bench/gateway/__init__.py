"""Load on the OCPP gateway, measured beside a bare echo server. See docs/performance.md."""
