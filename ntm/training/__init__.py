"""How a machine learns: settings, the loop, the optimisers, and how it is judged."""
