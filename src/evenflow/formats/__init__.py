"""Text to model and back: `parse()` and `render()` side by side, one package or module per format."""
