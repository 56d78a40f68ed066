"""From video files to I3D features."""
