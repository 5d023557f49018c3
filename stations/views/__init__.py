"""Pages of stations and sessions."""
