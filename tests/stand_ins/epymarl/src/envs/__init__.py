from .gymma import GymmaWrapper

REGISTRY = {}
REGISTRY["gymma"] = GymmaWrapper


def reward_args(args):
    """How rewards become one, for the constructor of the environment; a fork without these keys has a common one."""
    return {
        "common_reward": getattr(args, "common_reward", True),
        "reward_scalarisation": getattr(args, "reward_scalarisation", "sum"),
    }
