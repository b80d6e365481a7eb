"""Claims of the paper (arXiv 2404.19737), one file each: what is trained, what is measured, and by which test it is judged."""
