"""From a name to a model: found, checked, loaded."""
