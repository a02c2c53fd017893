"""What lies on disk: a run, a trained machine and its card, and how both are made."""
