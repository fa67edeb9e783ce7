"""A game loop of Skirmish, played by slow, obvious Python."""

import math

from bn_mappo.envs.games.skirmish import Skirmish, core


class SlowLoop:
    """One game loop of one game, written for reading: docs/environments.md says the same in words."""

    def __init__(self, game: Skirmish, b: int, allies_are_scripted: bool):
        self.unit = {name: list(map(float, game.units[b, k])) for k, name in enumerate(core.FIELDS)}
        self.mark = {name: list(map(int, game.marks[b, k])) for k, name in enumerate(core.MARKS)}
        self.trait = {name: game.tables.trait[k].tolist() for k, name in enumerate(core.TRAITS)}
        self.pair = {name: game.tables.pair[k].tolist() for k, name in enumerate(core.PAIRS)}
        self.rule = {name: float(game.tables.rule[k]) for k, name in enumerate(core.RULES)}
        self.goal, self.walkable = game.goals[b].copy(), game.tables.walkable
        self.stream = int(game.streams[b])
        self.n_agents, self.n_units = game.info.n_agents, game.units.shape[2]
        self.scripted = [u for u in range(self.n_units) if u >= self.n_agents or allies_are_scripted]

    def random(self) -> float:
        mask = 2**64 - 1
        self.stream = (self.stream + 0x9E3779B97F4A7C15) & mask
        word = self.stream
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
        return ((word ^ (word >> 31)) >> 11) / 2**53

    def alive(self, u: int) -> bool:
        return self.was["health"][u] > 0

    def square(self, u: int, v: int) -> float:
        dx, dy = self.was["x"][v] - self.was["x"][u], self.was["y"][v] - self.was["y"][u]
        return dx * dx + dy * dy

    def side(self, u: int) -> list[int]:
        return [v for v in range(self.n_units) if (v < self.n_agents) == (u < self.n_agents)]

    def foes(self, u: int) -> list[int]:
        return [v for v in range(self.n_units) if v not in self.side(u)]

    def heals(self, u: int) -> bool:
        return self.trait["heal"][u] > 0

    def attacks(self, u: int) -> bool:
        target = self.mark["target"][u]
        return target >= 0 and self.alive(target) and self.pair["hit"][u][target] > 0

    def is_shooting(self, u: int) -> bool:
        """It stands in the middle of a shot: winds up, or waits for hits that it must stand for."""
        aim = self.mark["aim"][u]
        if not self.alive(u) or aim < 0 or aim != self.mark["target"][u]:
            return False
        if self.was["windup"][u] > 0:
            return self.alive(aim) and self.square(u, aim) <= self.pair["hold"][u][aim]
        waits = self.was["flight"][u] > 0 and self.trait["is_channelled"][u] > 0
        return waits and (self.alive(aim) or self.trait["line_length"][u] > 0)

    def play(self) -> None:
        self.was = {name: list(values) for name, values in self.unit.items()}  # everything looks at the loop's start
        living = [u for u in range(self.n_units) if self.alive(u)]
        self.threats = {u for u in living if self.heals(u) or self.attacks(u)}  # before anybody decides
        for u in living:
            if u in self.scripted and not self.is_shooting(u):
                self.decide(u)
        self.wish = [(0.0, 0.0)] * self.n_units
        self.hits: list[list[float]] = [[] for _ in range(self.n_units)]
        self.hit_by: list[list[int]] = [[] for _ in range(self.n_units)]
        self.healed = [0.0] * self.n_units
        for u in range(self.n_units):
            is_shooting = self.is_shooting(u)
            self.fly(u, is_shooting)
            if u in living:
                self.act(u, is_shooting)
        self.move(living)
        for u in living:
            self.settle(u)
        for side in (range(self.n_agents, self.n_units), range(self.n_agents)):
            if side[0] in self.scripted and self.rule["answers_attacks"]:
                self.answer(list(side))

    def answer(self, side: list[int]) -> None:
        """Who is hit, or hears one who is, goes after the attacker."""
        x, y = self.unit["x"], self.unit["y"]

        def square(u: int, v: int) -> float:
            return (x[v] - x[u]) * (x[v] - x[u]) + (y[v] - y[u]) * (y[v] - y[u])

        def can_pursue(u: int, v: int) -> bool:
            seen = [w for w in side if self.unit["health"][w] > 0 and square(w, v) <= self.rule["sight"] ** 2]
            return v >= 0 and bool(seen) and self.unit["health"][v] > 0 and self.pair["hit"][u][v] > 0

        attacker = {u: min(self.hit_by[u], key=lambda v: self.square(u, v)) for u in side if self.hit_by[u]}
        self.unit["hush"] = [max(left - 1, 0.0) if u in side else left for u, left in enumerate(self.unit["hush"])]
        callers = [u for u in attacker if self.unit["hush"][u] == 0]
        for u in callers:
            self.unit["hush"][u] = self.rule["help_period"] if self.unit["health"][u] > 0 else 0.0
        for u in side:
            if not attacker or self.unit["health"][u] <= 0 or can_pursue(u, self.mark["pursued"][u]):
                continue
            near = [v for v in callers if square(u, v) <= self.rule["help_radius"] * self.rule["help_radius"]]
            known = [attacker[v] for v in attacker if v == u or v in near]
            self.mark["pursued"][u] = min(
                [v for v in known if can_pursue(u, v)], key=lambda v: square(u, v), default=-1
            )

    def decide(self, u: int) -> None:
        if self.heals(u):
            self.mark["target"][u] = self.patient(u)
            self.follow(u)
            return
        pursued = self.mark["pursued"][u]
        seen = [v for v in self.side(u) if self.alive(v) and self.square(v, pursued) <= self.rule["sight"] ** 2]
        if pursued < 0 or not seen or not self.alive(pursued) or self.pair["hit"][u][pursued] <= 0:
            pursued = self.mark["pursued"][u] = -1
        prey = self.prey(u)
        self.mark["target"][u] = pursued if prey < 0 else prey
        x, y, is_set = self.goal[int(u >= self.n_agents)]
        self.mark["has_goal"][u], self.unit["goal_x"][u], self.unit["goal_y"][u] = int(is_set), float(x), float(y)

    def prey(self, u: int) -> int:
        reach, acquire = self.pair["reach"][u], self.pair["acquire"][u]
        known = [v for v in self.foes(u) if self.alive(v) and self.pair["hit"][u][v] > 0]
        known = [v for v in known if self.square(u, v) <= acquire[v]]

        def order(v: int) -> tuple[bool, bool, float]:
            is_kept = v == self.mark["target"][u] and self.square(u, v) <= reach[v]
            return v not in self.threats, not is_kept, self.square(u, v)

        return min(known, key=order, default=-1)

    def patient(self, u: int) -> int:
        def needs_me(v: int) -> bool:
            hurt = 0 < self.was["health"][v] < self.trait["max_health"][v]
            return hurt and self.square(u, v) <= self.pair["acquire"][u][v]

        old = self.mark["target"][u]
        if old >= 0 and needs_me(old):
            return old
        known = [v for v in self.side(u) if self.pair["reach"][u][v] > 0 and needs_me(v)]
        return min(known, key=lambda v: self.square(u, v), default=-1)

    def follow(self, u: int) -> None:
        fighters = [v for v in self.side(u) if self.alive(v) and not self.heals(v)]
        nearest = min(fighters, key=lambda v: self.square(u, v), default=None)
        self.mark["has_goal"][u] = 0
        if nearest is not None and self.square(u, nearest) > self.rule["follow_distance"] ** 2:
            self.mark["has_goal"][u] = 1
            self.unit["goal_x"][u], self.unit["goal_y"][u] = self.was["x"][nearest], self.was["y"][nearest]

    def fly(self, u: int, is_shooting: bool) -> None:
        left = self.was["flight"][u]
        if left == 0:
            return
        if self.trait["is_channelled"][u] and not is_shooting:
            self.unit["flight"][u] = 0.0
        elif left > 1:
            self.unit["flight"][u] = left - 1
        else:
            self.unit["flight"][u] = 0.0
            self.land(u, self.mark["aim"][u], int(self.trait["hits_later"][u]))

    def act(self, u: int, is_shooting: bool) -> None:
        before = self.was["cooldown"][u]
        cooldown = before - 1 if before > 0 else 0.0
        target = self.mark["target"][u]
        if target >= 0 and not self.alive(target) and not is_shooting:
            target = self.mark["target"][u] = -1
        is_walking, windup = False, self.was["windup"][u] if is_shooting else 0.0
        self.unit["windup"][u] = 0.0
        if is_shooting and windup == 0:
            pass
        elif windup > 1:
            self.unit["windup"][u] = windup - 1
        elif windup > 0:
            cooldown = self.shoot(u, target, windup - 1)
        elif target >= 0 and self.square(u, target) > self.pair["reach"][u][target]:
            self.walk(u, self.was["x"][target], self.was["y"][target])
            is_walking = True
        elif target >= 0 and self.heals(u):
            self.heal(u, target)
        elif target >= 0 and cooldown <= 0:
            left = cooldown + self.trait["damage_point"][u]
            if left > 0:
                self.unit["windup"][u], self.mark["aim"][u] = left, target
            else:
                cooldown = self.shoot(u, target, left)
        elif target < 0 and self.mark["has_goal"][u]:
            self.walk(u, self.unit["goal_x"][u], self.unit["goal_y"][u])
            is_walking = True
        if not is_walking:
            self.unit["speed"][u] = 0.0
        self.unit["cooldown"][u] = max(cooldown, 0.0)

    def walk(self, u: int, x: float, y: float) -> None:
        speed = self.trait["step"][u]
        if self.trait["acceleration"][u] > 0:
            speed = min(speed, self.was["speed"][u] + self.trait["acceleration"][u])
        self.unit["speed"][u] = speed
        dx, dy = x - self.was["x"][u], y - self.was["y"][u]
        distance = math.sqrt(dx * dx + dy * dy)
        if distance <= speed:
            self.wish[u] = dx, dy
        else:
            self.wish[u] = speed * dx / distance, speed * dy / distance

    def heal(self, u: int, target: int) -> None:
        rate = self.trait["health_per_energy"][u]
        wound = self.trait["max_health"][target] - self.was["health"][target]
        amount = min(self.trait["heal"][u], rate * self.was["energy"][u], wound)
        if amount > 0:
            self.healed[target] += amount
            self.unit["energy"][u] = self.was["energy"][u] - amount / rate
            self.mark["shot_at"][u] = target

    def shoot(self, u: int, target: int, since: float) -> float:
        """It leaves; hits at once land, others fly. Returns the loops until the next one can begin."""
        self.mark["shot_at"][u] = target
        self.land(u, target, int(self.trait["hits_now"][u]))
        wait, speed = since + self.trait["delay"][u], self.trait["missile_step"][u]
        if speed > 0:
            gap = math.sqrt(self.square(u, target)) - self.trait["radius"][u] - self.trait["radius"][target]
            wait += max(gap, 0.0) / speed
        if self.trait["hits_later"][u] and wait > 0:
            self.unit["flight"][u], self.mark["aim"][u] = wait, target
        else:
            self.land(u, target, int(self.trait["hits_later"][u]))
        jitter = self.rule["jitter_low"] + self.rule["jitter_span"] * self.random()
        return since + self.trait["period"][u] - self.trait["damage_point"][u] + jitter

    def land(self, u: int, target: int, n_hits: int) -> None:
        if self.alive(target):
            self.hits[target] += [self.pair["hit"][u][target]] * n_hits
            self.hit_by[target] += [u] * n_hits
        for v in self.side(target):
            if v != target and self.alive(v) and not self.trait["is_air"][v] and self.is_on_line(u, target, v):
                self.hits[v] += [self.pair["hit"][u][v]] * n_hits
                self.hit_by[v] += [u] * n_hits

    def is_on_line(self, u: int, target: int, v: int) -> bool:
        """Whether v's circle touches the line across the shot, by the point of the line that is nearest to v."""
        if self.trait["line_length"][u] == 0:
            return False
        x, y = self.was["x"], self.was["y"]
        shot_x, shot_y = x[target] - x[u], y[target] - y[u]
        length = math.sqrt(shot_x * shot_x + shot_y * shot_y)
        if length == 0:
            shot_x = length = core.SAME_POINT
        dx, dy = x[v] - x[target], y[v] - y[target]
        along, across = abs(dy * shot_x - dx * shot_y) / length, (dx * shot_x + dy * shot_y) / length
        beyond = max(along - self.trait["line_length"][u] / 2, 0.0)
        near = self.trait["line_width"][u] / 2 + self.trait["radius"][v]
        return across * across + beyond * beyond <= near * near

    def move(self, living: list[int]) -> None:
        x = [a + wish[0] for a, wish in zip(self.was["x"], self.wish, strict=True)]
        y = [a + wish[1] for a, wish in zip(self.was["y"], self.wish, strict=True)]
        for u in living:
            push_x = push_y = 0.0
            for v in living:
                dx, dy = x[u] - x[v], y[u] - y[v]
                square = dx * dx + dy * dy
                if v == u or square >= self.pair["touch"][u][v]:
                    continue
                if square == 0:
                    dx, square = core.SAME_POINT if u < v else -core.SAME_POINT, core.SAME_POINT**2
                share = 0.5 * (math.sqrt(self.pair["touch"][u][v] / square) - 1)
                push_x, push_y = push_x + share * dx, push_y + share * dy
            length, largest = push_x * push_x + push_y * push_y, self.rule["largest_push"]
            if length > largest * largest:
                share = largest / math.sqrt(length)
                push_x, push_y = push_x * share, push_y * share
            self.unit["x"][u], self.unit["y"][u] = x[u] + push_x, y[u] + push_y
            if self.trait["is_air"][u]:
                self.stay_on_map(u)
            else:
                self.leave_walls(u)

    def stay_on_map(self, u: int) -> None:
        radius, size = self.trait["separation"][u], len(self.walkable)
        self.unit["x"][u] = min(max(self.unit["x"][u], radius), size - radius)
        self.unit["y"][u] = min(max(self.unit["y"][u], radius), size - radius)

    def is_floor(self, column: int, row: int) -> bool:
        size = len(self.walkable)
        return 0 <= column < size and 0 <= row < size and bool(self.walkable[column, row])

    def leave_walls(self, u: int) -> None:
        radius = self.trait["separation"][u]
        for _ in range(2):
            x, y = self.unit["x"][u], self.unit["y"][u]
            column, row = math.floor(x), math.floor(y)
            if not self.is_floor(column, row):
                break
            walls = []
            for i in (column - 1, column, column + 1):
                for j in (row - 1, row, row + 1):
                    if not self.is_floor(i, j):
                        dx, dy = x - min(max(x, i), i + 1), y - min(max(y, j), j + 1)
                        walls.append((dx * dx + dy * dy, dx, dy))
            square, dx, dy = min(walls, key=lambda wall: wall[0], default=(radius * radius, 0.0, 0.0))
            if square >= radius * radius or square == 0:
                break
            distance = math.sqrt(square)
            self.unit["x"][u] = x + dx / distance * (radius - distance)
            self.unit["y"][u] = y + dy / distance * (radius - distance)
        if not self.is_floor(math.floor(self.unit["x"][u]), math.floor(self.unit["y"][u])):
            self.unit["x"][u], self.unit["y"][u] = self.was["x"][u], self.was["y"][u]

    def settle(self, u: int) -> None:
        health, shield = self.was["health"][u], self.was["shield"][u]
        for damage in self.hits[u]:
            absorbed = min(damage, shield)
            shield -= absorbed
            if damage > absorbed:
                health -= max(damage - absorbed - self.trait["armour"][u], self.rule["least_damage"])
        if health <= 0:
            for name in ("health", "shield", "energy", "cooldown", "windup", "speed"):
                self.unit[name][u] = 0.0
            self.unit["hush"][u] = 0.0
            self.mark["target"][u] = self.mark["pursued"][u] = -1
            self.mark["has_goal"][u] = 0
            return
        health += self.healed[u] + self.trait["regeneration"][u]
        self.unit["health"][u] = min(health, self.trait["max_health"][u])
        energy = self.unit["energy"][u] + self.trait["energy_regeneration"][u]
        self.unit["energy"][u] = min(energy, self.trait["max_energy"][u])
        self.unit["calm"][u] = 0.0 if self.hits[u] else self.was["calm"][u] + 1
        if self.unit["calm"][u] >= self.rule["shield_delay"]:
            shield += self.rule["shield_regeneration"]
        self.unit["shield"][u] = min(shield, self.trait["max_shield"][u])
