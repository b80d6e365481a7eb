"""What passes the border: frames and values. Both sides import it, and nothing else of each other's."""
