"""Measurements. They import nothing of the product: they speak over the wire and look into /proc."""
