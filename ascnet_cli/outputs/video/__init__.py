"""What annotated videos and clips are made of: pictures, text, drawings, sound, encoding."""
