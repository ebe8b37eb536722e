"""What gradient checkers find, what the tests find of mutants, and what killed processes leave on disk."""
