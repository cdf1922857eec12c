"""Write docs/reference/datasets.md from the catalogue's entries."""

from pathlib import Path

from medjepa.data.catalog.loader import entries
from medjepa.data.catalog.pages import document

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "datasets.md"


def main() -> None:
    """Write the page."""
    PAGE.write_text(document(entries().values()), encoding="utf-8")
    print(f"{PAGE}: {len(entries())} data sets")


if __name__ == "__main__":
    main()
