"""Our games behind the interfaces of others: SMAC's class, PettingZoo, Gymnasium (docs/skirmish_elsewhere.md)."""
