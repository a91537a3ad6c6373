"""The two verbs over the cells of a matrix, `fold` and `stream`, and what they need."""
