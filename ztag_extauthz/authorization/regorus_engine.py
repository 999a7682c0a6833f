"""The embedded engine `regorus`: the only file that imports it.

Rules that its Python binding imposes:
1. An engine belongs to the thread that made it, so every thread makes its own.
2. A Rust panic is a `BaseException`, and leaves an engine behind that must not be used again.
3. An error's text may hold values of the input, and a stack trace: only the place is told.
4. `eval_rule` gives None for undefined and for null.
"""

import re
from collections.abc import Mapping
from threading import current_thread, local, main_thread
from time import monotonic
from typing import Any, Literal, NoReturn

import msgspec

from ztag_extauthz.authorization.engine import UNDEFINED, PolicyEngine, Undefined, Value, decision_path
from ztag_extauthz.errors import DeadlineError, EvaluationError, Mistake, PolicyError

_PLACE = re.compile(r"--> (?P<place>.+:\d+:\d+)\n")
_CAUSE = re.compile(r"^error: (?P<cause>.*)$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNKNOWN_RULE = "not a valid rule path"
# Found when a rule is evaluated first, whatever the input is.
_LOAD_ERRORS = re.compile(r"unsafe|undefined variable|could not find function|undefined rule|recursion|defined before")
_MAX_COLUMNS, _MAX_LINES, _MAX_BYTES = 65_536, 100_000, 8 * 1024 * 1024

_encode = msgspec.json.Encoder(decimal_format="number").encode


class RegorusEngine(PolicyEngine):
    """Evaluates with regorus, in whichever thread asks."""

    def __init__(self, modules: Mapping[str, str], data: Mapping[str, Any], decision: str) -> None:
        """Load `modules` (Rego text by file name) and `data`; raises `PolicyError` with every mistake found."""
        self._modules = dict(modules)
        self._data = _encode(data).decode()
        self._query = _query(decision)
        self._threads = local()
        self._is_rule = True
        self._verify(decision)
        if current_thread() is not main_thread():
            self._threads.engine = None  # dropped here and now: a reload builds in a thread that then goes away

    def evaluate(self, document: Mapping[str, Any], deadline: float) -> Value | Literal[Undefined.UNDEFINED]:
        if monotonic() > deadline:
            raise DeadlineError("the deadline was over before the policy was asked")
        engine = self._engine()
        try:
            engine.set_input_json(_encode(document).decode())
            value = self._value(engine)
            engine.take_prints()
        except RuntimeError as error:
            raise EvaluationError(f"the policy failed{_at(error)}") from None
        except Exception as error:  # noqa: BLE001 - whatever it was, the policy has not answered
            raise EvaluationError(f"the input cannot be given to the policy: {type(error).__name__}") from None
        except BaseException as panic:
            self._threads.engine = None
            if type(panic).__name__ == "PanicException":
                raise EvaluationError("the policy engine broke down") from None
            raise
        return value

    def _value(self, engine: Any) -> Value | Literal[Undefined.UNDEFINED]:
        if self._is_rule:
            value = engine.eval_rule(self._query)
            if value is not None:
                return value
        results = engine.eval_query(self._query)["result"]
        return results[0]["expressions"][0]["value"] if results else UNDEFINED

    def _engine(self) -> Any:
        engine = getattr(self._threads, "engine", None)
        if engine is None:
            engine = self._threads.engine = _load(self._modules, self._data)
        return engine

    def _verify(self, decision: str) -> None:
        """Evaluate once with an empty input: several mistakes show only then."""
        engine = self._engine()
        try:
            engine.set_input_json("{}")
            engine.eval_rule(self._query)
        except RuntimeError as error:
            if _UNKNOWN_RULE in str(error):
                self._is_rule = False
                self._verify_path(engine, decision)
            elif _LOAD_ERRORS.search(_cause(error)):
                raise PolicyError((_mistake("", error),)) from None
        except BaseException as panic:
            if type(panic).__name__ != "PanicException":
                raise
            raise PolicyError((Mistake("policies", "the policy engine broke down over an empty input"),)) from None

    def _verify_path(self, engine: Any, decision: str) -> None:
        """Accept what is no rule of its own only if it is a package, or part of what a rule gives."""
        packages = engine.get_packages()
        parts = decision_path(decision)
        for length in range(len(parts), 0, -1):
            query = _query(".".join(parts[:length]))
            if length == len(parts) and query in packages:
                return
            if length < len(parts) and query not in packages and _is_rule(engine, query):
                return
        known = ", ".join(sorted(package.removeprefix("data.") for package in packages)) or "none"
        raise PolicyError((Mistake(f"decision {decision}", "no rule defines it", f"packages: {known}"),))


def _load(modules: Mapping[str, str], data: str) -> Any:
    import regorus  # noqa: PLC0415 - heavy, and only one of the engines

    engine = regorus.Engine()
    engine.set_gather_prints(True)  # else a policy's print() writes the input to stderr
    engine.set_policy_length_config(max_col=_MAX_COLUMNS, max_file_bytes=_MAX_BYTES, max_lines=_MAX_LINES)
    # The engine's own http.send silently gives nothing, so that `deny if http.send(…)` would never deny.
    engine.add_extension("http.send", 1, _refuse_http)
    mistakes = []
    for name, text in modules.items():
        try:
            engine.add_policy(name, text)
        except RuntimeError as error:
            mistakes.append(_mistake(name, error))
    if mistakes:
        raise PolicyError(tuple(mistakes))
    engine.add_data_json(data)
    return engine


def _refuse_http(request: Any) -> NoReturn:
    raise NotImplementedError("http.send is not available")


def _is_rule(engine: Any, query: str) -> bool:
    try:
        engine.eval_rule(query)
    except RuntimeError as error:
        return _UNKNOWN_RULE not in str(error)
    return True


def _query(decision: str) -> str:
    """Return `data.envoy.authz.result`, with brackets where a part is no variable's name."""
    parts = (f".{part}" if _PLAIN.fullmatch(part) else f'["{part}"]' for part in decision_path(decision))
    return "data" + "".join(parts)


def _cause(error: Exception) -> str:
    found = _CAUSE.search(str(error))
    return found["cause"] if found else "it cannot be read"


def _at(error: Exception) -> str:
    found = _PLACE.search(str(error))
    return f" at {found['place']}" if found else ""


def _mistake(name: str, error: Exception) -> Mistake:
    found = _PLACE.search(str(error))
    return Mistake(found["place"] if found else name, _cause(error))
