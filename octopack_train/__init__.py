"""Recipes that train the models which the tasks evaluate."""
