"""The analysts' questions: `docs/queries/<name>.sql`, each with its question as the first line's comment.

They are deployed as named queries of the Athena workgroup, and listed in docs/queries/README.md
(`python -m infra.questions`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs" / "queries"
PAGE = FOLDER / "README.md"
_BEGIN, _END = "<!-- listed by: python -m infra.questions -->\n", "<!-- end -->\n"
_WRITTEN_FOR = "watershed"
"""The prefix of the databases that the files name."""


class QuestionError(ValueError):
    """Raised when a file does not begin with its question; the message names the file."""


@dataclass(frozen=True)
class Question:
    """``title`` is what is asked, ``sql`` the whole file."""

    name: str
    title: str
    sql: str

    @property
    def zones(self) -> frozenset[str]:
        """The zones whose tables it reads, such as `curated`."""
        return frozenset(re.findall(rf"\b{_WRITTEN_FOR}_([a-z]+)\.", self.sql)) or frozenset({"curated"})

    @property
    def role(self) -> str:
        """The narrowest role that may ask it: analysts read what is curated, engineers every zone."""
        return "analysts" if self.zones <= {"curated"} else "engineers"

    def for_deployment(self, settings: Settings) -> str:
        """The SQL over the databases of a deployment with its own prefix."""
        own = settings.database("")
        return self.sql.replace(f"{_WRITTEN_FOR}_", own) if own != f"{_WRITTEN_FOR}_" else self.sql


def load_questions(folder: Path = FOLDER) -> list[Question]:
    """All questions, by name.

    Raises
    ------
    QuestionError : a file's first line is no question in a comment
    """
    found = []
    for file in sorted(folder.glob("*.sql")):
        sql = file.read_text()
        first = sql.partition("\n")[0]
        if not first.startswith("-- ") or "?" not in first:
            raise QuestionError(f"{file}: its first line must be the question: -- Who ...?")
        found.append(Question(file.stem, first.removeprefix("-- "), sql))
    return found


def page(text: str, questions: list[Question]) -> str:
    """The page with its list as the files are now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = "".join(f"| [{each.name}]({each.name}.sql) | {each.title} | {each.role} |\n" for each in questions)
    return f"{before}{_BEGIN}| query | question | for |\n| --- | --- | --- |\n{rows}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), load_questions()))
