"""Whether `ascnet detect` will work on this machine: what is here, what is wrong, what to do about it."""
