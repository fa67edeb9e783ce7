"""bn_mappo inside EPyMARL and its relatives. What runs there needs torch, NumPy and SciPy alone.

The host's names (`controllers`, `learners`, `utils`, ...) are top-level modules of the same names as rooms of this
package, so nothing here imports them: runner, batch, scheme and `args` come in as arguments.
"""
