"""How the book is made: sources, runs, comparison, layout."""
