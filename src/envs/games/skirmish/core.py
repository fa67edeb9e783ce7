"""The compiled heart of Skirmish: orders, one game loop, rewards, and what everybody sees.

All compiled code and the layout of its arrays stand in this one file, for numba's cache notices changes only of the
file in which a function stands. (dealing.py has one more function, which knows no layout.) B games, U units (allies
first, then enemies), N agents (the allies), A actions. Positions and lengths in cells, times in game loops; everything
in a loop happens at once: what a unit does depends on the positions and on who lives at the loop's start, never on the
order of units or sides.
"""

import numpy as np

from bn_mappo.core.compiling import compiled

# unit[FIELD, u], float64: what changes
# windup: loops until the shot that has begun leaves; flight: loops until hits that have left land; 0: there are none
# hush: loops until a scripted unit that is hit may call for help again
FIELDS = (
    "x", "y", "health", "shield", "energy", "cooldown", "calm", "speed", "goal_x", "goal_y", "windup", "flight", "hush",
)  # fmt: skip
X, Y, HEALTH, SHIELD, ENERGY, COOLDOWN, CALM, SPEED, GOAL_X, GOAL_Y, WINDUP, FLIGHT, HUSH = range(len(FIELDS))
# mark[MARK, u], int64: target (unit or -1), whether there is a goal, whom it shot or healed last in this step, action,
# whom its last shot, begun or flying, is for, and which attacker a scripted unit goes after while it sees nobody nearer
MARKS = ("target", "has_goal", "shot_at", "last_action", "aim", "pursued")
TARGET, HAS_GOAL, SHOT_AT, LAST_ACTION, AIM, PURSUED = range(len(MARKS))
# trait[TRAIT, u], float64: what does not change
TRAITS = (
    "radius", "separation", "max_health", "max_shield", "max_energy", "start_energy", "armour", "step", "acceleration",
    "regeneration", "energy_regeneration", "period", "damage_point", "hits_now", "hits_later", "delay", "missile_step",
    "is_channelled", "is_air", "heal", "health_per_energy", "line_length", "line_width", "state_scale",
    "spawn_x", "spawn_y", "spawn_radius",
)  # fmt: skip
(
    RADIUS, SEPARATION, MAX_HEALTH, MAX_SHIELD, MAX_ENERGY, START_ENERGY, ARMOUR, STEP, ACCELERATION,
    REGENERATION, ENERGY_REGENERATION, PERIOD, DAMAGE_POINT, HITS_NOW, HITS_LATER, DELAY, MISSILE_STEP,
    IS_CHANNELLED, IS_AIR, HEAL, HEALTH_PER_ENERGY, LINE_LENGTH, LINE_WIDTH, STATE_SCALE,
    SPAWN_X, SPAWN_Y, SPAWN_RADIUS,
) = range(len(TRAITS))  # fmt: skip
# pair[PAIR, u, v], float64, of u towards v: squared distances between centres, and the damage of a hit before armour
PAIRS = ("reach", "hold", "acquire", "touch", "hit")
REACH, HOLD, ACQUIRE, TOUCH, HIT = range(len(PAIRS))
# rule[RULE], float64
RULES = (
    "sight", "shoot_range", "move_amount", "shield_delay", "shield_regeneration", "jitter_low", "jitter_span",
    "least_damage", "follow_distance", "largest_push", "answers_attacks", "help_radius", "help_period",
)  # fmt: skip
(
    SIGHT, SHOOT_RANGE, MOVE_AMOUNT, SHIELD_DELAY, SHIELD_REGENERATION, JITTER_LOW, JITTER_SPAN,
    LEAST_DAMAGE, FOLLOW_DISTANCE, LARGEST_PUSH, ANSWERS_ATTACKS, HELP_RADIUS, HELP_PERIOD,
) = range(len(RULES))  # fmt: skip
# goal[SIDE, PART], float64: where scripted allies (0) and enemies (1) of a map go: a point, how far it may lie from it
# along x and y, and whether there is one; each game has drawn a point of its own, goals[game, SIDE]: x, y, is set
GOALS = ("x", "y", "span_x", "span_y", "is_set")
SPAN_X, SPAN_Y, IS_SET = range(2, len(GOALS))
# pay[PAY], float64: how the reward is made (game.py)
PAYS = ("only_positive", "death_value", "negative_scale", "win", "defeat", "scale", "shield_regen", "sparse")
ONLY_POSITIVE, DEATH_VALUE, NEGATIVE_SCALE, WIN, DEFEAT, SCALE, SHIELD_REGEN, SPARSE = range(len(PAYS))
# show[SHOW], int64: what observations and state hold (sizes.py counts their widths alike)
SHOWS = (
    "all_health", "own_health", "obs_last_action", "pathing", "obs_timestep", "state_last_action", "state_timestep",
    "n_types", "ally_shields", "enemy_shields", "obs_instead_of_state",
)  # fmt: skip
(
    ALL_HEALTH, OWN_HEALTH, OBS_LAST_ACTION, PATHING, OBS_TIMESTEP, STATE_LAST_ACTION, STATE_TIMESTEP,
    N_TYPES, ALLY_SHIELDS, ENEMY_SHIELDS, OBS_INSTEAD_OF_STATE,
) = range(len(SHOWS))  # fmt: skip
# scratch[ROW, u], float64: wishes and results within one loop
WISH_X, WISH_Y, PUSH_X, PUSH_Y, OLD_X, OLD_Y, NEW_HEALTH, NEW_SHIELD, HEALED, HARMED_BY, CALLS, THREAT = range(12)
N_SCRATCH = 12

RUNNING, WON, LOST, DRAWN = range(4)  # how a game stands
NO_OP, STOP, NORTH, SOUTH, EAST, WEST, FIRST_TARGET = range(7)  # actions
NO_THREAT = 1e6  # added to the score of targets that threaten nobody: they come last
SPAWN_ROUNDS = 40  # of pushing apart
SAME_POINT = 1e-6  # cells; units nearer than floats can tell are taken to be so far apart


def part(function):
    """A compiled function that others call, and that makes no arrays: it is put into its callers as it stands.

    Without numba's reference counts, which would take half of the time, one for each array of each call.
    """
    return compiled(function, forceinline=True, _nrt=False)


# --- randomness: splitmix64, one stream a game -----------------------------------------------------------------------


@part
def uniform(streams, game):
    """A number in [0, 1) from the stream of this game."""
    state = streams[game] + np.uint64(0x9E3779B97F4A7C15)
    streams[game] = state
    word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word = word ^ (word >> np.uint64(31))
    return (word >> np.uint64(11)) * (1.0 / 9007199254740992.0)


# --- floor and collisions --------------------------------------------------------------------------------------------


@part
def is_walkable(walkable, x, y):
    """Whether the cell of this point is on the floor."""
    if x < 0.0 or y < 0.0:
        return False
    column, row = int(x), int(y)
    return column < walkable.shape[0] and row < walkable.shape[1] and walkable[column, row]


@part
def push_apart(unit, pair, scratch, largest):
    """Every living unit moves by half of its overlaps with those it collides with, from one set of positions."""
    n_units = unit.shape[1]
    for u in range(n_units):
        scratch[PUSH_X, u] = 0.0
        scratch[PUSH_Y, u] = 0.0
    for u in range(n_units):
        if unit[HEALTH, u] <= 0.0:
            continue
        x, y = unit[X, u], unit[Y, u]
        for v in range(u + 1, n_units):
            dx, dy = x - unit[X, v], y - unit[Y, v]
            square = dx * dx + dy * dy
            if square >= pair[TOUCH, u, v] or unit[HEALTH, v] <= 0.0:
                continue
            if square == 0.0:  # at one point, as after two are pressed into a corner: they part along x
                dx, square = SAME_POINT, SAME_POINT * SAME_POINT
            share = 0.5 * (np.sqrt(pair[TOUCH, u, v] / square) - 1.0)
            scratch[PUSH_X, u] += share * dx
            scratch[PUSH_Y, u] += share * dy
            scratch[PUSH_X, v] -= share * dx
            scratch[PUSH_Y, v] -= share * dy
    for u in range(n_units):
        dx, dy = scratch[PUSH_X, u], scratch[PUSH_Y, u]
        square = dx * dx + dy * dy
        if square > largest * largest:
            share = largest / np.sqrt(square)
            dx *= share
            dy *= share
        unit[X, u] += dx
        unit[Y, u] += dy


@part
def keep_on_floor(unit, trait, walkable, near_wall, u, old_x, old_y):
    """Move a ground unit out of the wall that it is deepest in, twice; one that is still off the floor goes back."""
    radius = trait[SEPARATION, u]
    for _ in range(2):
        x, y = unit[X, u], unit[Y, u]
        if not is_walkable(walkable, x, y):
            break
        column, row = int(x), int(y)
        if not near_wall[column, row]:
            return
        nearest, away_x, away_y = radius * radius, 0.0, 0.0
        for i in range(column - 1, column + 2):
            for j in range(row - 1, row + 2):
                if is_walkable(walkable, i + 0.5, j + 0.5):
                    continue
                dx = x - min(max(x, float(i)), i + 1.0)
                dy = y - min(max(y, float(j)), j + 1.0)
                square = dx * dx + dy * dy
                if square < nearest:
                    nearest, away_x, away_y = square, dx, dy
        if nearest == radius * radius or nearest == 0.0:
            break
        distance = np.sqrt(nearest)
        unit[X, u] = x + away_x / distance * (radius - distance)
        unit[Y, u] = y + away_y / distance * (radius - distance)
    if not is_walkable(walkable, unit[X, u], unit[Y, u]):
        unit[X, u] = old_x
        unit[Y, u] = old_y


@part
def keep_in_air(unit, trait, walkable, u):
    """Air units cross walls, and stay on the map."""
    radius = trait[SEPARATION, u]
    unit[X, u] = min(max(unit[X, u], radius), walkable.shape[0] - radius)
    unit[Y, u] = min(max(unit[Y, u], radius), walkable.shape[1] - radius)


# --- one game loop ---------------------------------------------------------------------------------------------------


@part
def square_between(unit, u, v):
    """The squared distance between the centres of two units."""
    dx, dy = unit[X, v] - unit[X, u], unit[Y, v] - unit[Y, u]
    return dx * dx + dy * dy


@part
def find_threats(unit, mark, trait, pair, scratch):
    """Who threatens, before anybody decides: those with an attack order in force, and all living healers."""
    for u in range(unit.shape[1]):
        target = mark[TARGET, u]
        attacks = target >= 0 and unit[HEALTH, target] > 0.0 and pair[HIT, u, target] > 0.0
        scratch[THREAT, u] = 1.0 if unit[HEALTH, u] > 0.0 and (attacks or trait[HEAL, u] > 0.0) else 0.0


@part
def is_shooting(unit, mark, trait, pair, u):
    """Whether u stands in the middle of a shot: before it leaves, or until those hits land that u must stand for.

    A shot that has begun is over when its target leaves range and slop, or dies, or u gets another order.
    """
    aim = mark[AIM, u]
    if aim < 0 or mark[TARGET, u] != aim:
        return False
    if unit[WINDUP, u] > 0.0:
        dx, dy = unit[X, aim] - unit[X, u], unit[Y, aim] - unit[Y, u]
        return unit[HEALTH, aim] > 0.0 and dx * dx + dy * dy <= pair[HOLD, u, aim]
    if unit[FLIGHT, u] > 0.0 and trait[IS_CHANNELLED, u] > 0.0:
        return unit[HEALTH, aim] > 0.0 or trait[LINE_LENGTH, u] > 0.0
    return False


@part
def choose_foe(unit, mark, pair, scratch, u, low, high):
    """The target of a scripted fighter among the units low to high - 1 (docs/environments.md, the enemies' policy).

    Threats come before all others; among equals, the present target if it is in reach, and else the nearest.
    """
    x, y = unit[X, u], unit[Y, u]
    kept = mark[TARGET, u]
    if kept >= 0:
        dx, dy = unit[X, kept] - x, unit[Y, kept] - y
        if unit[HEALTH, kept] <= 0.0 or dx * dx + dy * dy > pair[REACH, u, kept]:
            kept = -1
        elif scratch[THREAT, kept] > 0.0:
            return kept
    best, best_score = -1, np.inf
    for v in range(low, high):
        dx, dy = unit[X, v] - x, unit[Y, v] - y
        score = dx * dx + dy * dy
        if score > pair[ACQUIRE, u, v] or unit[HEALTH, v] <= 0.0 or pair[HIT, u, v] <= 0.0:
            continue
        if v == kept:
            score = -1.0
        if scratch[THREAT, v] <= 0.0:
            score += NO_THREAT
        if score < best_score:
            best, best_score = v, score
    return best


@part
def choose_patient(unit, mark, trait, pair, u, low, high):
    """The target of a scripted healer on its own side, low to high - 1: it stays with one until that is well."""
    x, y = unit[X, u], unit[Y, u]
    target = mark[TARGET, u]
    if target >= 0 and 0.0 < unit[HEALTH, target] < trait[MAX_HEALTH, target]:
        dx, dy = unit[X, target] - x, unit[Y, target] - y
        if dx * dx + dy * dy <= pair[ACQUIRE, u, target]:
            return target
    best, nearest = -1, np.inf
    for v in range(low, high):
        if pair[REACH, u, v] <= 0.0 or not 0.0 < unit[HEALTH, v] < trait[MAX_HEALTH, v]:
            continue
        dx, dy = unit[X, v] - x, unit[Y, v] - y
        square = dx * dx + dy * dy
        if square <= pair[ACQUIRE, u, v] and square < nearest:
            best, nearest = v, square
    return best


@part
def follow(unit, mark, trait, rule, u, low, high):
    """A scripted healer without patients goes to the nearest unit of its side that is no healer, and keeps near it."""
    best, nearest = -1, np.inf
    for v in range(low, high):
        if unit[HEALTH, v] <= 0.0 or trait[HEAL, v] > 0.0:
            continue
        dx, dy = unit[X, v] - unit[X, u], unit[Y, v] - unit[Y, u]
        square = dx * dx + dy * dy
        if square < nearest:
            best, nearest = v, square
    mark[HAS_GOAL, u] = 0
    if best >= 0 and nearest > rule[FOLLOW_DISTANCE] * rule[FOLLOW_DISTANCE]:
        mark[HAS_GOAL, u] = 1
        unit[GOAL_X, u] = unit[X, best]
        unit[GOAL_Y, u] = unit[Y, best]


@part
def is_pursuable(unit, pair, rule, u, attacker, low, high):
    """Whether scripted unit u can go after it: it lives, u can hurt it, and u's side, low to high - 1, sees it."""
    if attacker < 0 or unit[HEALTH, attacker] <= 0.0 or pair[HIT, u, attacker] <= 0.0:
        return False
    for v in range(low, high):
        if unit[HEALTH, v] > 0.0 and square_between(unit, v, attacker) <= rule[SIGHT] * rule[SIGHT]:
            return True
    return False


@part
def decide(unit, mark, trait, pair, rule, goal, scratch, n_agents, are_allies_scripted):
    """Targets and goals of all scripted units; those in the middle of a shot keep theirs."""
    n_units = unit.shape[1]
    find_threats(unit, mark, trait, pair, scratch)
    for u in range(0 if are_allies_scripted else n_agents, n_units):
        if unit[HEALTH, u] <= 0.0 or is_shooting(unit, mark, trait, pair, u):
            continue
        is_enemy = u >= n_agents
        own_low, own_high = (n_agents, n_units) if is_enemy else (0, n_agents)
        if trait[HEAL, u] > 0.0:
            mark[TARGET, u] = choose_patient(unit, mark, trait, pair, u, own_low, own_high)
            follow(unit, mark, trait, rule, u, own_low, own_high)
        else:
            low, high = (0, n_agents) if is_enemy else (n_agents, n_units)
            foe = choose_foe(unit, mark, pair, scratch, u, low, high)
            if not is_pursuable(unit, pair, rule, u, mark[PURSUED, u], own_low, own_high):
                mark[PURSUED, u] = -1
            mark[TARGET, u] = foe if foe >= 0 else mark[PURSUED, u]
            side = 1 if is_enemy else 0
            mark[HAS_GOAL, u] = int(goal[side, 2])
            unit[GOAL_X, u] = goal[side, 0]
            unit[GOAL_Y, u] = goal[side, 1]


@part
def strike(unit, scratch, trait, rule, damage, n_hits, u, v):
    """Hits of u on unit v: shields take them whole, health what armour leaves of the rest.

    Of all who hit it in this loop, v notes the nearest.
    """
    for _ in range(n_hits):
        absorbed = min(damage, scratch[NEW_SHIELD, v])
        scratch[NEW_SHIELD, v] -= absorbed
        rest = damage - absorbed
        if rest > 0.0:
            scratch[NEW_HEALTH, v] -= max(rest - trait[ARMOUR, v], rule[LEAST_DAMAGE])
    noted = int(scratch[HARMED_BY, v])
    if noted < 0 or square_between(unit, u, v) < square_between(unit, noted, v):
        scratch[HARMED_BY, v] = u


@part
def touches_line(unit, trait, u, target, v):
    """Whether unit v touches the line of u's shot: it lies across the shot, with its middle in the target."""
    shot_x, shot_y = unit[X, target] - unit[X, u], unit[Y, target] - unit[Y, u]
    length = np.sqrt(shot_x * shot_x + shot_y * shot_y)
    if length == 0.0:
        shot_x, length = SAME_POINT, SAME_POINT
    dx, dy = unit[X, v] - unit[X, target], unit[Y, v] - unit[Y, target]
    off = (dx * shot_x + dy * shot_y) / length  # along the shot, so away from the line
    beyond = max(abs(dy * shot_x - dx * shot_y) / length - trait[LINE_LENGTH, u] / 2.0, 0.0)  # its end
    near = trait[LINE_WIDTH, u] / 2.0 + trait[RADIUS, v]
    return off * off + beyond * beyond <= near * near


@part
def land(unit, trait, pair, rule, scratch, n_agents, u, target, n_hits):
    """Hits of u arrive: at the target if it still lives, and at all on the line that the shot may have."""
    if unit[HEALTH, target] > 0.0:
        strike(unit, scratch, trait, rule, pair[HIT, u, target], n_hits, u, target)
    if trait[LINE_LENGTH, u] <= 0.0:
        return
    low, high = (n_agents, unit.shape[1]) if target >= n_agents else (0, n_agents)
    for v in range(low, high):
        if v == target or unit[HEALTH, v] <= 0.0 or trait[IS_AIR, v] > 0.0:
            continue
        if touches_line(unit, trait, u, target, v):
            strike(unit, scratch, trait, rule, pair[HIT, u, v], n_hits, u, v)


@part
def fire(unit, mark, trait, pair, rule, scratch, n_agents, u, target, since):
    """A shot of u leaves for its target; `since`: loops (0 or less) by which the loop is later than that."""
    mark[SHOT_AT, u] = target
    if trait[HITS_NOW, u] > 0.0:
        land(unit, trait, pair, rule, scratch, n_agents, u, target, int(trait[HITS_NOW, u]))
    if trait[HITS_LATER, u] <= 0.0:
        return
    wait = since + trait[DELAY, u]
    if trait[MISSILE_STEP, u] > 0.0:
        dx, dy = unit[X, target] - unit[X, u], unit[Y, target] - unit[Y, u]
        gap = np.sqrt(dx * dx + dy * dy) - trait[RADIUS, u] - trait[RADIUS, target]
        wait += max(gap, 0.0) / trait[MISSILE_STEP, u]
    if wait > 0.0:
        unit[FLIGHT, u] = wait
        mark[AIM, u] = target
    else:
        land(unit, trait, pair, rule, scratch, n_agents, u, target, int(trait[HITS_LATER, u]))


@part
def fly(unit, mark, trait, pair, rule, scratch, n_agents, u, is_busy):
    """Hits of u come one loop nearer. Those that u must stand for are lost if it no longer does."""
    if trait[IS_CHANNELLED, u] > 0.0 and not is_busy:
        unit[FLIGHT, u] = 0.0
        return
    unit[FLIGHT, u] = max(unit[FLIGHT, u] - 1.0, 0.0)
    if unit[FLIGHT, u] == 0.0:
        land(unit, trait, pair, rule, scratch, n_agents, u, mark[AIM, u], int(trait[HITS_LATER, u]))


@part
def heal(unit, mark, trait, scratch, u, target):
    """What a healer gives in one loop, as far as its energy and the wounds of its patient go."""
    amount = min(trait[HEAL, u], trait[HEALTH_PER_ENERGY, u] * unit[ENERGY, u])
    amount = min(amount, trait[MAX_HEALTH, target] - unit[HEALTH, target])
    if amount > 0.0:
        scratch[HEALED, target] += amount
        unit[ENERGY, u] -= amount / trait[HEALTH_PER_ENERGY, u]
        mark[SHOT_AT, u] = target


@part
def walk(unit, trait, scratch, u, dx, dy):
    """Wish to go towards (dx, dy) away, as far as the speed allows, and not beyond it."""
    speed = trait[STEP, u]
    if trait[ACCELERATION, u] > 0.0:
        speed = min(speed, unit[SPEED, u] + trait[ACCELERATION, u])
    unit[SPEED, u] = speed
    distance = np.sqrt(dx * dx + dy * dy)
    if distance <= speed:
        scratch[WISH_X, u] = dx
        scratch[WISH_Y, u] = dy
    else:
        scratch[WISH_X, u] = speed * dx / distance
        scratch[WISH_Y, u] = speed * dy / distance


@part
def act(unit, mark, trait, pair, rule, scratch, streams, game, n_agents):
    """Everybody shoots, heals, or wishes to go somewhere; harm and healing are kept apart until the loop's end."""
    n_units = unit.shape[1]
    for u in range(n_units):
        scratch[WISH_X, u] = 0.0
        scratch[WISH_Y, u] = 0.0
        scratch[HEALED, u] = 0.0
        scratch[HARMED_BY, u] = -1.0
        scratch[NEW_HEALTH, u] = unit[HEALTH, u]
        scratch[NEW_SHIELD, u] = unit[SHIELD, u]
    for u in range(n_units):
        is_busy = unit[HEALTH, u] > 0.0 and is_shooting(unit, mark, trait, pair, u)
        winds_up = is_busy and unit[WINDUP, u] > 0.0
        if unit[FLIGHT, u] > 0.0:  # also where u has died since
            fly(unit, mark, trait, pair, rule, scratch, n_agents, u, is_busy)
        if unit[HEALTH, u] <= 0.0:
            continue
        cooldown = unit[COOLDOWN, u] - 1.0 if unit[COOLDOWN, u] > 0.0 else 0.0  # below 0: it was ready within the loop
        target = mark[TARGET, u]
        if target >= 0 and unit[HEALTH, target] <= 0.0 and not is_busy:
            target = -1
            mark[TARGET, u] = -1
        is_walking, windup = False, 0.0
        if is_busy and not winds_up:
            pass  # it stands until its hits have landed
        elif target >= 0:
            dx, dy = unit[X, target] - unit[X, u], unit[Y, target] - unit[Y, u]
            if dx * dx + dy * dy > pair[REACH, u, target] and not winds_up:
                walk(unit, trait, scratch, u, dx, dy)
                is_walking = True
            elif trait[HEAL, u] > 0.0:
                heal(unit, mark, trait, scratch, u, target)
            elif winds_up or cooldown <= 0.0:
                left = unit[WINDUP, u] - 1.0 if winds_up else cooldown + trait[DAMAGE_POINT, u]
                if left > 0.0:
                    windup = left
                    mark[AIM, u] = target
                else:
                    fire(unit, mark, trait, pair, rule, scratch, n_agents, u, target, left)
                    jitter = rule[JITTER_LOW] + rule[JITTER_SPAN] * uniform(streams, game)
                    cooldown = left + trait[PERIOD, u] - trait[DAMAGE_POINT, u] + jitter
        elif mark[HAS_GOAL, u] > 0:
            dx, dy = unit[GOAL_X, u] - unit[X, u], unit[GOAL_Y, u] - unit[Y, u]
            walk(unit, trait, scratch, u, dx, dy)
            is_walking = True
        if not is_walking:
            unit[SPEED, u] = 0.0
        unit[WINDUP, u] = windup
        unit[COOLDOWN, u] = max(cooldown, 0.0)


@part
def move(unit, trait, pair, rule, scratch, walkable, near_wall):
    """All go where they wish at once, then are pushed apart, then out of walls."""
    n_units = unit.shape[1]
    for u in range(n_units):
        scratch[OLD_X, u] = unit[X, u]
        scratch[OLD_Y, u] = unit[Y, u]
        unit[X, u] += scratch[WISH_X, u]
        unit[Y, u] += scratch[WISH_Y, u]
    push_apart(unit, pair, scratch, rule[LARGEST_PUSH])
    for u in range(n_units):
        if unit[HEALTH, u] <= 0.0:
            continue
        if trait[IS_AIR, u] > 0.0:
            keep_in_air(unit, trait, walkable, u)
        else:
            keep_on_floor(unit, trait, walkable, near_wall, u, scratch[OLD_X, u], scratch[OLD_Y, u])


@part
def settle(unit, mark, trait, rule, scratch):
    """Harm, deaths, healing and regeneration take effect."""
    for u in range(unit.shape[1]):
        if unit[HEALTH, u] <= 0.0:
            continue
        if scratch[NEW_HEALTH, u] <= 0.0:
            unit[HEALTH, u] = 0.0
            unit[SHIELD, u] = 0.0
            unit[ENERGY, u] = 0.0
            unit[COOLDOWN, u] = 0.0
            unit[WINDUP, u] = 0.0
            unit[SPEED, u] = 0.0
            unit[HUSH, u] = 0.0
            mark[TARGET, u] = mark[PURSUED, u] = -1
            mark[HAS_GOAL, u] = 0
            continue
        health = scratch[NEW_HEALTH, u] + scratch[HEALED, u] + trait[REGENERATION, u]
        unit[HEALTH, u] = min(health, trait[MAX_HEALTH, u])
        unit[ENERGY, u] = min(unit[ENERGY, u] + trait[ENERGY_REGENERATION, u], trait[MAX_ENERGY, u])
        unit[CALM, u] = 0.0 if scratch[HARMED_BY, u] >= 0.0 else unit[CALM, u] + 1.0
        shield = scratch[NEW_SHIELD, u]
        if unit[CALM, u] >= rule[SHIELD_DELAY]:
            shield += rule[SHIELD_REGENERATION]
        unit[SHIELD, u] = min(shield, trait[MAX_SHIELD, u])


@part
def answer(unit, mark, pair, rule, scratch, low, high):
    """Units low to high - 1, a scripted side, go after who hits them, or one near them that calls for help.

    One that is after an attacker stays with that. Of several it takes the nearest. Also who dies of a hit has called.
    """
    any_harmed = False
    for u in range(low, high):
        scratch[CALLS, u] = 0.0
        if unit[HUSH, u] > 0.0:
            unit[HUSH, u] = max(unit[HUSH, u] - 1.0, 0.0)
        if scratch[HARMED_BY, u] >= 0.0:
            any_harmed = True
            if unit[HUSH, u] <= 0.0:
                scratch[CALLS, u] = 1.0
                unit[HUSH, u] = rule[HELP_PERIOD] if unit[HEALTH, u] > 0.0 else 0.0
    if not any_harmed:
        return
    for u in range(low, high):
        if unit[HEALTH, u] <= 0.0 or is_pursuable(unit, pair, rule, u, mark[PURSUED, u], low, high):
            continue
        best, nearest = -1, np.inf
        for v in range(low, high):
            attacker = int(scratch[HARMED_BY, v])
            if attacker < 0 or not is_pursuable(unit, pair, rule, u, attacker, low, high):
                continue
            hears = scratch[CALLS, v] > 0.0 and square_between(unit, u, v) <= rule[HELP_RADIUS] * rule[HELP_RADIUS]
            square = square_between(unit, u, attacker)
            if (v == u or hears) and square < nearest:
                best, nearest = attacker, square
        mark[PURSUED, u] = best


@part
def game_loop(unit, mark, streams, game, trait, pair, rule, goal, walkable, near_wall, scratch, n_agents, scripted):
    """One game loop of one game."""
    decide(unit, mark, trait, pair, rule, goal, scratch, n_agents, scripted)
    act(unit, mark, trait, pair, rule, scratch, streams, game, n_agents)
    move(unit, trait, pair, rule, scratch, walkable, near_wall)
    settle(unit, mark, trait, rule, scratch)
    if rule[ANSWERS_ATTACKS] > 0.0:
        answer(unit, mark, pair, rule, scratch, n_agents, unit.shape[1])
        if scripted:
            answer(unit, mark, pair, rule, scratch, 0, n_agents)


@compiled
def play_loops(units, marks, streams, trait, pair, rule, goals, walkable, near_wall, n_agents, n_loops, scripted):
    """Game loops of all games without orders: for tests."""
    scratch = np.empty((N_SCRATCH, units.shape[2]))
    for game in range(units.shape[0]):
        for _ in range(n_loops):
            game_loop(
                units[game], marks[game], streams, game, trait, pair, rule, goals[game], walkable, near_wall, scratch,
                n_agents, scripted,
            )  # fmt: skip


# --- a step ----------------------------------------------------------------------------------------------------------


@part
def can_target(unit, trait, rule, n_agents, agent, k):
    """The unit that action 6 + k of this agent aims at, or -1 where it is not to be had."""
    target = k if trait[HEAL, agent] > 0.0 else n_agents + k
    if trait[HEAL, agent] > 0.0 and (k >= n_agents or trait[HEAL, k] > 0.0):
        return -1
    if unit[HEALTH, target] <= 0.0:
        return -1
    dx, dy = unit[X, target] - unit[X, agent], unit[Y, target] - unit[Y, agent]
    return target if dx * dx + dy * dy <= rule[SHOOT_RANGE] * rule[SHOOT_RANGE] else -1


@part
def can_move(unit, rule, walkable, agent, direction):
    """Whether the cell half a move order away is on the floor."""
    reach = rule[MOVE_AMOUNT] / 2.0
    dx = reach if direction == EAST else -reach if direction == WEST else 0.0
    dy = reach if direction == NORTH else -reach if direction == SOUTH else 0.0
    return is_walkable(walkable, unit[X, agent] + dx, unit[Y, agent] + dy)


@part
def give_order(unit, mark, trait, pair, rule, walkable, n_agents, agent, action):
    """Turn an action into a target or a goal; one that is not available is a stop."""
    mark[TARGET, agent] = -1
    mark[HAS_GOAL, agent] = 0
    if unit[HEALTH, agent] <= 0.0:
        return
    if NORTH <= action <= WEST:
        if can_move(unit, rule, walkable, agent, action):
            length = rule[MOVE_AMOUNT]
            dx = length if action == EAST else -length if action == WEST else 0.0
            dy = length if action == NORTH else -length if action == SOUTH else 0.0
            unit[GOAL_X, agent] = unit[X, agent] + dx
            unit[GOAL_Y, agent] = unit[Y, agent] + dy
            mark[HAS_GOAL, agent] = 1
    elif FIRST_TARGET <= action < FIRST_TARGET + unit.shape[1] - n_agents:
        target = can_target(unit, trait, rule, n_agents, agent, action - FIRST_TARGET)
        if target >= 0 and pair[REACH, agent, target] > 0.0:  # it can hurt or heal this one
            mark[TARGET, agent] = target


@part
def standing(unit, trait, n_agents):
    """Whether a side is out: nobody of it alive, or healers only."""
    n_units = unit.shape[1]
    allies_fight, enemies_fight = False, False
    for u in range(n_units):
        if unit[HEALTH, u] > 0.0 and trait[HEAL, u] <= 0.0:
            if u < n_agents:
                allies_fight = True
            else:
                enemies_fight = True
    if allies_fight:
        return RUNNING if enemies_fight else WON
    return LOST if enemies_fight else DRAWN


@part
def reward_of(unit, before, pay, n_agents, outcome):
    """The reward of a step; before [U]: health and shield at its start. With both sides out, the agents have lost."""
    lost, kills, own_lost, deaths = 0.0, 0.0, 0.0, 0.0
    for u in range(unit.shape[1]):
        harm = before[u] - (unit[HEALTH, u] + unit[SHIELD, u])
        has_died = before[u] > 0.0 and unit[HEALTH, u] <= 0.0
        if u >= n_agents:
            lost += harm
            kills += has_died
        else:
            own_lost += harm
            deaths += has_died
    if pay[SPARSE] > 0.0:
        reward = 1.0 if outcome == WON else 0.0 if outcome == RUNNING else -1.0
        return reward * pay[SCALE]
    if pay[ONLY_POSITIVE] > 0.0:
        killed = pay[DEATH_VALUE] * kills
        reward = abs(lost + killed) if pay[SHIELD_REGEN] > 0.0 else max(lost, 0.0) + killed
    else:
        reward = lost + pay[DEATH_VALUE] * kills - pay[NEGATIVE_SCALE] * (own_lost + pay[DEATH_VALUE] * deaths)
    if outcome == WON:
        reward += pay[WIN]
    elif outcome != RUNNING:
        reward += pay[DEFEAT]
    return reward * pay[SCALE]


@compiled
def advance(
    units,
    marks,
    streams,
    actions,
    traits,
    pairs,
    rule,
    pays,
    goals,
    walkable,
    near_wall,
    n_loops,
    scripted,
    rewards,
    outcomes,
):
    """One step of all games: orders [B, N], n_loops game loops, rewards [B] and outcomes [B].

    traits, pairs and pays have a table for each game, or one for all.
    """
    n_games, _, n_units = units.shape
    n_agents = actions.shape[1]
    scratch = np.empty((N_SCRATCH, n_units))
    before = np.empty(n_units)
    for game in range(n_games):
        unit, mark, row = units[game], marks[game], game % len(traits)
        trait, pair, pay = traits[row], pairs[row], pays[row]
        for u in range(n_units):
            before[u] = unit[HEALTH, u] + unit[SHIELD, u]
            mark[SHOT_AT, u] = -1
        for agent in range(n_agents):
            if not 0 <= actions[game, agent] < FIRST_TARGET + n_units - n_agents:
                raise ValueError("an action lies outside 0 to n_actions - 1")
            mark[LAST_ACTION, agent] = actions[game, agent]
            if not scripted:
                give_order(unit, mark, trait, pair, rule, walkable, n_agents, agent, actions[game, agent])
        for _ in range(n_loops):
            game_loop(
                unit, mark, streams, game, trait, pair, rule, goals[game], walkable, near_wall, scratch, n_agents,
                scripted,
            )  # fmt: skip
        outcomes[game] = standing(unit, trait, n_agents)
        rewards[game] = reward_of(unit, before, pay, n_agents, outcomes[game])


# --- the start of an episode -----------------------------------------------------------------------------------------


@part
def swap(unit, u, v):
    """Exchange the places of two units."""
    for field in (X, Y):
        kept = unit[field, u]
        unit[field, u] = unit[field, v]
        unit[field, v] = kept


@part
def line_up(unit, kind, n_agents, n_sorted):
    """Give the places within each type of a side to its units by rising x, and y where x are equal; n_sorted units."""
    for u in range(1, n_sorted):
        v = u
        while v > 0 and v != n_agents and kind[v] == kind[v - 1]:
            if unit[X, v - 1] < unit[X, v] or (unit[X, v - 1] == unit[X, v] and unit[Y, v - 1] <= unit[Y, v]):
                break
            swap(unit, v - 1, v)
            v -= 1


@part
def draw_goals(goals, streams, game, goal):
    """Where both sides of one game go in this episode."""
    for side in range(2):
        share = uniform(streams, game) if goal[side, SPAN_X] != 0.0 or goal[side, SPAN_Y] != 0.0 else 0.0
        goals[game, side, 0] = goal[side, 0] + share * goal[side, SPAN_X]
        goals[game, side, 1] = goal[side, 1] + share * goal[side, SPAN_Y]
        goals[game, side, 2] = goal[side, IS_SET]


@compiled
def start(
    units, marks, streams, goals, games, kinds, traits, pairs, rule, goal, walkable, near_wall, n_agents, sorts_enemies
):
    """Put games [K] to the start: each unit at random in the disc of its start, pushed apart; slots put in order.

    Slots are ordered by type, x and y; those of enemies only where `sorts_enemies`. kinds, traits and pairs have a
    table for each game, or one for all.
    """
    n_units = units.shape[2]
    scratch = np.empty((N_SCRATCH, n_units))
    for k in range(len(games)):
        game = games[k]
        unit, mark, row = units[game], marks[game], game % len(traits)
        kind, trait, pair = kinds[row], traits[row], pairs[row]
        for u in range(n_units):
            dx, dy = 1.0, 1.0
            while dx * dx + dy * dy > 1.0:
                dx = 2.0 * uniform(streams, game) - 1.0
                dy = 2.0 * uniform(streams, game) - 1.0
            unit[X, u] = trait[SPAWN_X, u] + dx * trait[SPAWN_RADIUS, u]
            unit[Y, u] = trait[SPAWN_Y, u] + dy * trait[SPAWN_RADIUS, u]
            unit[HEALTH, u] = trait[MAX_HEALTH, u]
            unit[SHIELD, u] = trait[MAX_SHIELD, u]
            unit[ENERGY, u] = trait[START_ENERGY, u]
            unit[CALM, u] = rule[SHIELD_DELAY]
            unit[COOLDOWN, u] = unit[SPEED, u] = unit[GOAL_X, u] = unit[GOAL_Y, u] = 0.0
            unit[WINDUP, u] = unit[FLIGHT, u] = unit[HUSH, u] = 0.0
            mark[TARGET, u] = mark[SHOT_AT, u] = mark[LAST_ACTION, u] = mark[AIM, u] = mark[PURSUED, u] = -1
            mark[HAS_GOAL, u] = 0
        draw_goals(goals, streams, game, goal)
        for _ in range(SPAWN_ROUNDS):
            push_apart(unit, pair, scratch, rule[LARGEST_PUSH])
            for u in range(n_units):
                if trait[IS_AIR, u] > 0.0:
                    keep_in_air(unit, trait, walkable, u)
                else:
                    keep_on_floor(unit, trait, walkable, near_wall, u, trait[SPAWN_X, u], trait[SPAWN_Y, u])
        line_up(unit, kind, n_agents, n_units if sorts_enemies else n_agents)


# --- what everybody sees ---------------------------------------------------------------------------------------------


@part
def show_avail(unit, trait, rule, walkable, n_agents, agent, avail):
    """Available actions [A] of one agent."""
    avail[:] = False
    if unit[HEALTH, agent] <= 0.0:
        avail[NO_OP] = True
        return
    avail[STOP] = True
    for direction in range(NORTH, WEST + 1):
        avail[direction] = can_move(unit, rule, walkable, agent, direction)
    for k in range(avail.shape[0] - FIRST_TARGET):
        avail[FIRST_TARGET + k] = can_target(unit, trait, rule, n_agents, agent, k) >= 0


@compiled
def available(units, traits, rule, walkable, avail):
    """Available actions [B, N, A] of all games."""
    for game in range(avail.shape[0]):
        trait = traits[game % len(traits)]
        for agent in range(avail.shape[1]):
            show_avail(units[game], trait, rule, walkable, avail.shape[1], agent, avail[game, agent])


@part
def put_body(row, at, unit, trait, kind, u, has_health, has_shield, n_types):
    """Health, shield and one-hot type of unit u from entry `at` on; returns the entry after them."""
    if has_health:
        row[at] = unit[HEALTH, u] / trait[MAX_HEALTH, u]
        at += 1
        if has_shield:
            row[at] = unit[SHIELD, u] / trait[MAX_SHIELD, u]
            at += 1
    if n_types > 0:
        row[at + kind[u]] = 1.0
    return at + n_types


@part
def put_other(row, at, first, unit, bodies, rule, agent, u, width):
    """What an agent sees of unit u, if it sees it; returns whether it does. `first` is the leading entry."""
    dx, dy = unit[X, u] - unit[X, agent], unit[Y, u] - unit[Y, agent]
    square = dx * dx + dy * dy
    if square >= rule[SIGHT] * rule[SIGHT] or unit[HEALTH, u] <= 0.0:
        return False
    unit_length = 1.0 / rule[SIGHT]
    row[at] = first
    row[at + 1] = np.sqrt(square) * unit_length
    row[at + 2] = dx * unit_length
    row[at + 3] = dy * unit_length
    for k in range(4, width):
        row[at + k] = bodies[u, k]
    return True


@part
def put_pathing(row, at, unit, rule, walkable, agent):
    """Whether the cells around are on the floor: N, S, E, W two orders away, NE, SW, SE, NW one; off the map counts."""
    near, far = rule[MOVE_AMOUNT], 2.0 * rule[MOVE_AMOUNT]
    around = (
        (0.0, far),
        (0.0, -far),
        (far, 0.0),
        (-far, 0.0),
        (near, near),
        (-near, -near),
        (near, -near),
        (-near, near),
    )
    for k in range(8):
        x, y = np.floor(unit[X, agent]) + around[k][0], np.floor(unit[Y, agent]) + around[k][1]
        is_inside = 0.0 <= x < walkable.shape[0] and 0.0 <= y < walkable.shape[1]
        row[at + k] = 1.0 if not is_inside or is_walkable(walkable, x, y) else 0.0


@part
def show_agent(unit, mark, kind, trait, rule, show, walkable, bodies, n_agents, agent, avail, time, row):
    """The observation [D] of one agent; zeros where it is dead. bodies [U, W]: what it would see of each unit."""
    row[:] = 0.0
    n_units = unit.shape[1]
    if show[OBS_TIMESTEP]:
        row[row.shape[0] - 1] = time
    if unit[HEALTH, agent] <= 0.0:
        return
    for k in range(4):
        row[k] = avail[NORTH + k]
    at = 4
    if show[PATHING]:
        put_pathing(row, at, unit, rule, walkable, agent)
        at += 8
    n_types, has_health = show[N_TYPES], show[ALL_HEALTH]
    width = 4 + n_types + has_health * (1 + show[ENEMY_SHIELDS])
    for u in range(n_agents, n_units):
        attackable = 1.0 if avail[FIRST_TARGET + u - n_agents] else 0.0
        put_other(row, at, attackable, unit, bodies, rule, agent, u, width)
        at += width
    n_actions = avail.shape[0]
    width = 4 + n_types + has_health * (1 + show[ALLY_SHIELDS])
    for u in range(n_agents):
        if u == agent:
            continue
        sees = put_other(row, at, 1.0, unit, bodies, rule, agent, u, width)
        at += width
        if show[OBS_LAST_ACTION]:
            if sees and mark[LAST_ACTION, u] >= 0:
                row[at + mark[LAST_ACTION, u]] = 1.0
            at += n_actions
    put_body(row, at, unit, trait, kind, agent, show[OWN_HEALTH], show[ALLY_SHIELDS], n_types)


@part
def show_state(unit, mark, kind, trait, show, size, n_agents, n_actions, time, row):
    """The state [S]: allies, enemies, last actions, time."""
    row[:] = 0.0
    n_units, n_types = unit.shape[1], show[N_TYPES]
    at = 0
    for u in range(n_units):
        is_ally = u < n_agents
        has_shield = show[ALLY_SHIELDS] if is_ally else show[ENEMY_SHIELDS]
        if unit[HEALTH, u] > 0.0:
            row[at] = unit[HEALTH, u] / trait[MAX_HEALTH, u]
            if is_ally:
                charge = unit[ENERGY, u] if trait[HEAL, u] > 0.0 else unit[COOLDOWN, u]
                row[at + 1] = charge / trait[STATE_SCALE, u]
            place = at + 2 if is_ally else at + 1
            row[place] = (unit[X, u] - size / 2.0) / size
            row[place + 1] = (unit[Y, u] - size / 2.0) / size
            if has_shield:
                row[place + 2] = unit[SHIELD, u] / trait[MAX_SHIELD, u]
            if n_types > 0:
                row[place + 2 + has_shield + kind[u]] = 1.0
        at += (4 if is_ally else 3) + has_shield + n_types
    if show[STATE_LAST_ACTION]:
        for agent in range(n_agents):
            if mark[LAST_ACTION, agent] >= 0:
                row[at + mark[LAST_ACTION, agent]] = 1.0
            at += n_actions
    if show[STATE_TIMESTEP]:
        row[at] = time


@compiled
def observe(units, marks, clock, limit, games, kinds, traits, rule, show, walkable, obs, state, avail):
    """Observations [B, N, D], state [B, S] and available actions [B, N, A] of the games [K]; other rows stay."""
    n_agents, n_actions = avail.shape[1], avail.shape[2]
    n_units, n_types = units.shape[2], show[N_TYPES]
    bodies = np.empty((n_units, 6 + n_types), dtype=np.float32)
    for k in range(len(games)):
        game = games[k]
        unit, mark, time = units[game], marks[game], clock[game] / limit
        kind, trait = kinds[game % len(kinds)], traits[game % len(traits)]
        bodies[:] = 0.0
        for u in range(n_units):
            has_shield = show[ALLY_SHIELDS] if u < n_agents else show[ENEMY_SHIELDS]
            put_body(bodies[u], 4, unit, trait, kind, u, show[ALL_HEALTH], has_shield, n_types)
        for agent in range(n_agents):
            show_avail(unit, trait, rule, walkable, n_agents, agent, avail[game, agent])
            show_agent(
                unit, mark, kind, trait, rule, show, walkable, bodies, n_agents, agent, avail[game, agent], time,
                obs[game, agent],
            )  # fmt: skip
        if show[OBS_INSTEAD_OF_STATE]:
            state[game, :] = obs[game].ravel()
        else:
            show_state(unit, mark, kind, trait, show, walkable.shape[0], n_agents, n_actions, time, state[game])
