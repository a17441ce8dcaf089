"""What the exit codes of all commands mean; docs/operations.md has them by command."""

FAILED = 1
"""Not done, or not all of it; what was there before stays. Also when settings, description or database are wrong."""
DOUBTFUL = 3
"""Done, and something that was written has to be looked at. (2 are options that make no sense: click's own.)"""
PENDING = 4
"""Nothing was done, and the next run would compute anew or bring up to date what was named (`plan`)."""
