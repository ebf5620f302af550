"""What the page tells, as numbers: nothing here knows how it is drawn or worded."""
