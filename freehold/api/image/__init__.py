"""Glance's API, version 2: records from the view; bytes are streamed to and from an image worker, never held here."""
