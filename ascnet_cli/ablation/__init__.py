"""What each part of the method is worth: rows that change one thing, over seeds, in one table."""
