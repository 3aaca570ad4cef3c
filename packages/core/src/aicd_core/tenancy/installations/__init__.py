"""Where a code host lets us in: one row for each installation of our app."""
