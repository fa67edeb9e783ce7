"""Types of arguments that StarCraft II and Skirmish share, because their configurations are interchangeable."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

# the command line makes a number of "7"
Difficulty = Annotated[Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "A"], BeforeValidator(str)]
