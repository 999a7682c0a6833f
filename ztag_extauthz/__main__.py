"""`python -m ztag_extauthz` is `ztag`."""

from ztag_extauthz.cli import main

if __name__ == "__main__":
    main()
