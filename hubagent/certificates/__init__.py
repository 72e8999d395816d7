"""Certificates from an authority (ACME, RFC 8555): when to ask, what became of it, and which pair serves."""
