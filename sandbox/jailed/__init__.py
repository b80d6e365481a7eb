"""Code that shares a kernel or an interpreter with untrusted programs: standard library only."""
