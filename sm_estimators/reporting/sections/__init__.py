"""The sections of the page: functions from facts to markup, in the order in which they stand."""
