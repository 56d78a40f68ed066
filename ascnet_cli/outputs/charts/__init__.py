"""Charts without a library: numbers to shapes, shapes to SVG or PNG, and pages around them."""
