"""Studies of the statistics: do the intervals cover, do the tests keep their level, how fast are they."""
