"""Small inputs that once gave wrong figures or stopped everybody, by number (`C12`), with the right value of each."""
