"""Documents against schemas: the errors in the library's order and words.

A result counts what went well, too: of several alternatives that fail, the errors of the best one are told.
"""

from collections.abc import Iterable

from ztag_extauthz.rego.builtins.jsonschema.formats import FORMATS
from ztag_extauthz.rego.builtins.jsonschema.numbers import canonical, rational, shown
from ztag_extauthz.rego.builtins.jsonschema.result import Place, Result, field_of
from ztag_extauthz.rego.builtins.jsonschema.schema import Schema
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Value, type_name


def result_of(schema: Schema, value: Value, place: Place = ()) -> Result:
    """Validate a value at a place in the document."""
    result = Result()
    _validate(schema, value, result, place)
    return result


def _validate(schema: Schema, value: Value, result: Result, place: Place) -> None:
    spend(1)
    if schema.truth is not None:
        if not schema.truth:
            result.add("false", place, "False always fails validation")
        return
    if schema.reference is not None:
        _validate(schema.reference, value, result, place)
        return
    given = _type(value)
    if schema.types and given not in schema.types and not (given == "integer" and "number" in schema.types):
        wanted = schema.types[0] if len(schema.types) == 1 else f"[{','.join(schema.types)}]"
        result.add("invalid_type", place, f"Invalid type. Expected: {wanted}, given: {given}")
        return
    _validate_schemas(schema, value, result, place)
    if isinstance(value, list):
        _validate_array(schema, value, result, place)
        _validate_common(schema, value, result, place)
    elif isinstance(value, dict):
        _validate_object(schema, value, result, place)
        _validate_common(schema, value, result, place)
        for name, member in schema.properties.items():
            if name in value:
                _validate(member, value[name], result, (*place, name))
    else:
        _validate_scalar(schema, value, result, place)
    result.score += 1


def _validate_scalar(schema: Schema, value: Value, result: Result, place: Place) -> None:
    if _type(value) in ("number", "integer"):
        _validate_number(schema, value, result, place)
    _validate_common(schema, value, result, place)
    if isinstance(value, str):
        _validate_text(schema, value, result, place)


def _type(value: Value) -> str:
    name = type_name(value)
    number = rational(value) if name == "number" else None
    return "integer" if number is not None and number.denominator == 1 else name


# -- alternatives and conditions


def _validate_schemas(schema: Schema, value: Value, result: Result, place: Place) -> None:
    if schema.any_of:
        _validate_any(schema.any_of, value, result, place)
    if schema.one_of:
        _validate_one(schema.one_of, value, result, place)
    if schema.all_of:
        parts = [result_of(part, value, place) for part in schema.all_of]
        for part in parts:
            result.merge(part)
        if any(part.errors for part in parts):
            result.add("number_all_of", place, "Must validate all the schemas (allOf)")
    if schema.negated is not None and not result_of(schema.negated, value, place).errors:
        result.add("number_not", place, "Must not validate the schema (not)")
    if isinstance(value, dict):
        _validate_dependencies(schema, value, result, place)
    if schema.condition is not None:
        _validate_condition(schema.condition, schema, value, result, place)
    result.score += 1


def _best(results: Iterable[Result]) -> Result:
    """Give the first one of the highest score."""
    return max(results, key=lambda result: result.score)


def _validate_any(parts: list[Schema], value: Value, result: Result, place: Place) -> None:
    failed = []
    for part in parts:
        found = result_of(part, value, place)
        if not found.errors:
            return
        failed.append(found)
    result.add("number_any_of", place, "Must validate at least one schema (anyOf)")
    result.merge(_best(failed))


def _validate_one(parts: list[Schema], value: Value, result: Result, place: Place) -> None:
    found = [result_of(part, value, place) for part in parts]
    valid = sum(not one.errors for one in found)
    if valid != 1:
        result.add("number_one_of", place, "Must validate one and only one schema (oneOf)")
    if not valid:
        result.merge(_best(found))


def _validate_dependencies(schema: Schema, value: dict[str, Value], result: Result, place: Place) -> None:
    for name in sorted(schema.dependencies.keys() & value.keys()):
        wanted = schema.dependencies[name]
        if isinstance(wanted, Schema):
            _validate(wanted, value, result, place)
            continue
        for other in wanted:
            if other not in value:
                result.add("missing_dependency", place, f"Has a dependency on {other}")


def _validate_condition(condition: Schema, schema: Schema, value: Value, result: Result, place: Place) -> None:
    holds = not result_of(condition, value, place).errors
    wanted = schema.then if holds else schema.otherwise
    found = result_of(wanted, value, place) if wanted is not None else Result()
    if not found.errors:
        return
    if holds:
        result.add("condition_then", place, 'Must validate "then" as "if" was valid')
    else:
        result.add("condition_else", place, 'Must validate "else" as "if" was not valid')
    result.merge(found)


# -- any value


def _validate_common(schema: Schema, value: Value, result: Result, place: Place) -> None:
    written = canonical(value) if schema.const is not None or schema.enum is not None else ""
    if schema.const is not None and written != schema.const:
        result.add("const", place, f"{field_of(place)} does not match: {schema.const}")
    if schema.enum is not None and written not in schema.enum:
        allowed = ", ".join(schema.enum)
        result.add("enum", place, f"{field_of(place)} must be one of the following: {allowed}")
    checked = FORMATS.get(schema.format) if isinstance(value, str) else None
    if checked is not None and not checked(value):
        result.add("format", place, f"Does not match format '{schema.format}'")
    result.score += 1


# -- arrays


def _validate_array(schema: Schema, value: list[Value], result: Result, place: Place) -> None:
    spend(len(value))
    if isinstance(schema.items, Schema):
        for index, item in enumerate(value):
            result.merge(result_of(schema.items, item, (*place, str(index))))
    elif schema.items:
        _validate_tuple(schema, schema.items, value, result, place)
    least, most = schema.sizes.get("minItems", 0), schema.sizes.get("maxItems", len(value))
    if len(value) < least:
        result.add("array_min_items", place, f"Array must have at least {least} items")
    if len(value) > most:
        result.add("array_max_items", place, f"Array must have at most {most} items")
    if schema.unique_items:
        _validate_unique(value, result, place)
    if schema.contains is not None:
        _validate_contains(schema.contains, value, result, place)
    result.score += 1


def _validate_tuple(schema: Schema, items: list[Schema], value: list[Value], result: Result, place: Place) -> None:
    for index, (part, item) in enumerate(zip(items, value, strict=False)):
        result.merge(result_of(part, item, (*place, str(index))))
    more = schema.additional_items
    if len(value) <= len(items) or more is None:
        return
    if isinstance(more, Schema):
        for index in range(len(items), len(value)):
            result.merge(result_of(more, value[index], (*place, str(index))))
    elif not more:
        result.add("array_no_additional_items", place, "No additional items allowed on array")


def _validate_unique(value: list[Value], result: Result, place: Place) -> None:
    places: dict[str, int] = {}
    for index, item in enumerate(value):
        written = canonical(item)
        if written in places:
            result.add("unique", place, f"array items[{places[written]},{index}] must be unique")
        places[written] = index


def _validate_contains(wanted: Schema, value: list[Value], result: Result, place: Place) -> None:
    failed = []
    for index, item in enumerate(value):
        found = result_of(wanted, item, (*place, str(index)))
        if not found.errors:
            return
        failed.append(found)
    result.add("contains", place, "At least one of the items must match")
    if failed:
        result.merge(_best(failed))


# -- objects


def _validate_object(schema: Schema, value: dict[str, Value], result: Result, place: Place) -> None:
    least, most = schema.sizes.get("minProperties", 0), schema.sizes.get("maxProperties", len(value))
    if len(value) < least:
        result.add("array_min_properties", place, f"Must have at least {least} properties")
    if len(value) > most:
        result.add("array_max_properties", place, f"Must have at most {most} properties")
    for name in schema.required:
        if name in value:
            result.score += 1
        else:
            result.add("required", place, f"{name} is required")
    for name in sorted(value):
        matched = _validate_patterns(schema, name, value[name], result, place)
        if not matched and name not in schema.properties:
            _validate_additional(schema.additional_properties, name, value[name], result, place)
    for name in sorted(value) if schema.property_names is not None else ():
        found = result_of(schema.property_names, name, place)  # type: ignore[arg-type]
        if found.errors:
            result.add("invalid_property_name", place, f'Property name of "{name}" does not match')
            result.merge(found)
    result.score += 1


def _validate_patterns(schema: Schema, name: str, value: Value, result: Result, place: Place) -> bool:
    matched = False
    for matches, part in schema.pattern_properties:
        if matches(name):
            matched = True
            result.merge(result_of(part, value, (*place, name)))
    result.score += matched
    return matched


def _validate_additional(more: bool | Schema | None, name: str, value: Value, result: Result, place: Place) -> None:  # noqa: FBT001
    if isinstance(more, Schema):
        result.merge(result_of(more, value, (*place, name)))
    elif more is False:
        result.add("additional_property_not_allowed", place, f"Additional property {name} is not allowed")


# -- texts and numbers


def _validate_text(schema: Schema, value: str, result: Result, place: Place) -> None:
    least, most = schema.sizes.get("minLength", 0), schema.sizes.get("maxLength", len(value))
    if len(value) < least:
        result.add("string_gte", place, f"String length must be greater than or equal to {least}")
    if len(value) > most:
        result.add("string_lte", place, f"String length must be less than or equal to {most}")
    if schema.pattern is not None and not schema.pattern[1](value):
        result.add("pattern", place, f"Does not match pattern '{schema.pattern[0]}'")
    result.score += 1


def _validate_number(schema: Schema, value: Value, result: Result, place: Place) -> None:
    number = rational(value)
    if number is None:
        return
    if schema.multiple_of is not None and (number / schema.multiple_of).denominator != 1:
        result.add("multiple_of", place, f"Must be a multiple of {shown(schema.multiple_of)}")
    if schema.maximum is not None and number > schema.maximum:
        result.add("number_lte", place, f"Must be less than or equal to {shown(schema.maximum)}")
    if schema.exclusive_maximum is not None and number >= schema.exclusive_maximum:
        result.add("number_lt", place, f"Must be less than {shown(schema.exclusive_maximum)}")
    if schema.minimum is not None and number < schema.minimum:
        result.add("number_gte", place, f"Must be greater than or equal to {shown(schema.minimum)}")
    if schema.exclusive_minimum is not None and number <= schema.exclusive_minimum:
        result.add("number_gt", place, f"Must be greater than {shown(schema.exclusive_minimum)}")
    result.score += 1
