"""The decisions: pure functions over `evenflow.model`. Time, randomness and names are arguments."""
