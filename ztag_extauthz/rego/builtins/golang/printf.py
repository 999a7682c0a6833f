"""Go's `fmt.Sprintf`: reading the format. What the verbs print is in `verbs.py`."""

from dataclasses import dataclass
from typing import Final

from ztag_extauthz.rego.builtins.golang.verbs import Argument, Flags, go_type, print_argument

_TOO_LARGE: Final = 1_000_000
_FLAGS: Final = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}


def sprintf(template: str, arguments: list[Argument]) -> str:
    printer = _Printer(template, arguments)
    return printer.run()


@dataclass
class _Printer:
    template: str
    arguments: list[Argument]

    def __post_init__(self) -> None:
        self.place = 0
        self.last_bracket = self.template.rfind("]")
        self.number = 0
        self.after_index = False
        self.reordered = False
        self.good_number = True
        self.output: list[str] = []
        self.flags = Flags()

    def run(self) -> str:
        while self.place < len(self.template):
            self.good_number = True
            end = self.template.find("%", self.place)
            if end < 0:
                self.output.append(self.template[self.place :])
                break
            self.output.append(self.template[self.place : end])
            self.place = end + 1
            if not self._directive():
                break
        self._extra()
        return "".join(self.output)

    def _next(self) -> str:
        return self.template[self.place : self.place + 1]

    def _directive(self) -> bool:
        """Print one verb; False where the format ends before it."""
        self.flags = Flags()
        while (flag := _FLAGS.get(self._next())) is not None:
            setattr(self.flags, flag, True)
            self.place += 1
        self._index()
        self._width()
        self._precision()
        if not self.after_index:
            self._index()
        verb = self._next()
        if not verb:
            self.output.append("%!(NOVERB)")
            return False
        self.place += 1
        self._verb(verb)
        return True

    def _verb(self, verb: str) -> None:
        if verb == "%":
            self.output.append("%")
        elif not self.good_number:
            self.output.append(f"%!{verb}(BADINDEX)")
        elif self.number >= len(self.arguments):
            self.output.append(f"%!{verb}(MISSING)")
        else:
            if verb in "vw":
                self.flags.go_syntax()
            self.output.append(print_argument(self.arguments[self.number], verb, self.flags))
            self.number += 1

    def _index(self) -> None:
        """Read an argument's number, `[2]`."""
        self.after_index = False
        if self._next() != "[":
            return
        self.reordered = True
        begin = self.place + 1
        end = self.template.find("]", begin) if self.last_bracket >= begin else -1
        if len(self.template) - self.place < 3 or end < 0:
            self.good_number = False
            self.place += 1
            return
        self.place = end + 1
        number, last = _leading_number(self.template[begin:end], 0)
        if number is None or begin + last != end:
            self.good_number = False
            return
        self.after_index = True
        if 0 < number <= len(self.arguments):
            self.number = number - 1
        else:
            self.good_number = False

    def _width(self) -> None:
        if self._next() == "*":
            self.place += 1
            width = self._from_argument()
            if width is None:
                self.output.append("%!(BADWIDTH)")
            elif width < 0:
                self.flags.minus, self.flags.zero = True, False
            self.flags.width = None if width is None else abs(width)
            self.after_index = False
            return
        self.flags.width = self._number()
        if self.after_index and self.flags.width is not None:
            self.good_number = False

    def _precision(self) -> None:
        if self._next() != "." or self.place + 1 >= len(self.template):
            return
        self.place += 1
        if self.after_index:
            self.good_number = False
        self._index()
        if self._next() == "*":
            self.place += 1
            precision = self._from_argument()
            self.flags.precision = precision if precision is not None and precision >= 0 else None
            if self.flags.precision is None:
                self.output.append("%!(BADPREC)")
            self.after_index = False
            return
        self.flags.precision = self._number() or 0

    def _number(self) -> int | None:
        if not "0" <= self._next() <= "9":
            return None
        number, self.place = _leading_number(self.template, self.place)
        return number

    def _from_argument(self) -> int | None:
        if self.number >= len(self.arguments):
            return None
        value = self.arguments[self.number]
        self.number += 1
        fits = go_type(value) == "int64" and abs(value) <= _TOO_LARGE  # type: ignore[arg-type]
        return int(value) if fits else None

    def _extra(self) -> None:
        if self.reordered or self.number >= len(self.arguments):
            return
        shown = [f"{go_type(value)}={print_argument(value, 'v', Flags())}" for value in self.arguments[self.number :]]
        self.output.append(f"%!(EXTRA {', '.join(shown)})")


def _leading_number(text: str, begin: int) -> tuple[int | None, int]:
    """Read digits, and tell where they end; a number that is too large eats all of the text, as it does in Go."""
    number = None
    for place in range(begin, len(text)):
        character = text[place]
        if not "0" <= character <= "9":
            return number, place
        if number is not None and number > _TOO_LARGE:
            return None, len(text)
        number = (number or 0) * 10 + int(character)
    return number, len(text)
