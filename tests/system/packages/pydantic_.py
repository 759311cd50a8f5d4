# /// script
# dependencies = ["pydantic", "email-validator"]
# ///
"""A model with a checked address, its JSON, and what is wrong with a bad one."""

from datetime import datetime

from pydantic import BaseModel, EmailStr, PositiveInt, ValidationError


class User(BaseModel):
    """As in the documentation's first example, with an address."""

    id: int
    name: str = "John Doe"
    email: EmailStr
    signed_up: datetime | None = None
    tastes: dict[str, PositiveInt]


user = User(
    id="123",
    email="hello@pydantic.dev",
    signed_up="2019-06-01 12:22",
    tastes={"wine": 9, b"cheese": 7},
)
print(user.model_dump_json())
try:
    User(id="x", email="nobody", tastes={"wine": -1})
except ValidationError as error:
    print([(".".join(map(str, one["loc"])), one["type"]) for one in error.errors()])
