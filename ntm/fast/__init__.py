"""What makes it fast, and nobody needs to understand: the compiled step, the bench."""
