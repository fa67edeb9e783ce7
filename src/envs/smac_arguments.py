"""What StarCraft II and Skirmish share, so that their configurations are interchangeable: arguments, and actions."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

# the command line makes a number of "7"
Difficulty = Annotated[Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "A"], BeforeValidator(str)]


def action_names(n_actions: int, first_target: int = 6) -> tuple[str, ...]:
    """SMAC's actions by number: a target is an enemy, or an ally of a medivac. SMACv2 may have turns of the eyes."""
    orders = ("no-op", "stop", "north", "south", "east", "west")
    turns = tuple(f"look {k}" for k in range(first_target - len(orders)))
    return (*orders, *turns, *(f"target {k}" for k in range(n_actions - first_target)))
