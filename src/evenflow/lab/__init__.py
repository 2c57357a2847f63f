"""A whole world in network namespaces: built from data, played in, always torn down."""
