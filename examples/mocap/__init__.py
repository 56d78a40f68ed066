"""An untrimmed example clip: motion-capture recordings, staged and rendered."""
