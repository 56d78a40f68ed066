"""How good segments are; numpy alone."""
