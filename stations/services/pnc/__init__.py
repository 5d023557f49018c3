"""Plug & Charge: contracts are checked, certificates fetched for cars and stations, cars known by what they say."""
