"""What a reader sees of an evaluation: a table in the terminal, results.json, one HTML page."""
