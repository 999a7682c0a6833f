"""`python -m loadtest.report`: write the pages anew from `report.json`, and the README's table."""

from pathlib import Path

from loadtest.capacity.__main__ import rewritten
from loadtest.report.page import read, summary, write

if __name__ == "__main__":
    here, readme = Path(__file__).parent, Path(__file__).parents[2] / "README.md"
    report = read(here)
    write(report, here)
    readme.write_text(rewritten(readme.read_text(), {"load": summary(report).strip()}))
