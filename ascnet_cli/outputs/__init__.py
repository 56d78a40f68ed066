"""One file a format, each reads back what it writes."""
