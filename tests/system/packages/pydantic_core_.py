"""The Rust core alone: a validator from a schema, JSON out and in."""

from pydantic_core import SchemaValidator, ValidationError, from_json, to_json

v = SchemaValidator(
    {
        "type": "typed-dict",
        "fields": {
            "name": {"type": "typed-dict-field", "schema": {"type": "str"}},
            "age": {"type": "typed-dict-field", "schema": {"type": "int", "ge": 18}},
        },
    }
)
print(v.validate_python({"name": "Samuel", "age": 35}))
print(v.validate_json('{"name": "Samuel", "age": "36"}'))
try:
    v.validate_python({"name": "Samuel", "age": 11})
except ValidationError as error:
    print(error.errors()[0]["msg"])
print(to_json({"a": [1, 2.5, None]}), from_json(b'["partial", 1', allow_partial=True))
