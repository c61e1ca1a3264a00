"""Results people look at: tables, figures, a viewer; each from any number of runs."""
