"""From class activation sequences to segments; numpy alone."""
