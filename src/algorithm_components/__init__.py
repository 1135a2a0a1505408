"""Built-in algorithm components and the small SDK they are written with."""
