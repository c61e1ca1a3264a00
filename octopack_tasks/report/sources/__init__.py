"""One file for each kind of results; `load(path, dataset)` gives nothing where the path is of another kind."""
