"""`python -m loadtest.report`: write the pages anew from `report.json`."""

from pathlib import Path

from loadtest.report.page import read, write

if __name__ == "__main__":
    write(read(Path(__file__).parent), Path(__file__).parent)
