"""Tables for people, papers and spreadsheets."""
