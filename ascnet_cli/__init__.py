"""Command-line tool and library around ASC-Net: from features to segments."""
