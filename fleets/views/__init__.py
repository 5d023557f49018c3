"""Pages of tokens, drivers and fleets."""
