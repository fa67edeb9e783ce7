"""What every room builds on: errors, names, seeds, schedules. Needs neither the configuration nor an environment."""
