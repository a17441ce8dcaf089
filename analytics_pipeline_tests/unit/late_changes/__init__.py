"""Which days a change touches, and which are due without any word from the shop."""
