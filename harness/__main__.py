"""`python -m mtp_eval.harness` is `mtp-eval`."""

from mtp_eval.harness.cli import main

if __name__ == "__main__":
    main()
