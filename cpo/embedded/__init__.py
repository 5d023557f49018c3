"""Starts Voltyard on a bare machine: virtual environment, PostgreSQL, Redis, front-end packages, processes.

Standard library only: all of it must run before anything is installed.
"""
