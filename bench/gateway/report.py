"""The figures as a table: each against its goal."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Round:
    """One closed-loop round of one server."""

    calls: int  # all of the round, the warm-up too
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu: dict[str, float]  # seconds, by who used them

    def per_thousand(self, who: str) -> float:
        return self.cpu.get(who, 0.0) / self.calls * 1000 if self.calls else float("nan")


@dataclass
class Goal:
    name: str
    figure: str
    goal: str
    met: bool | None


@dataclass
class Report:
    lines: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        self.lines.append(text)
        print(text, flush=True)

    def goal(self, name: str, figure: str, goal: str, met: bool | None) -> None:
        self.goals.append(Goal(name, figure, goal, met))

    def finish(self) -> bool:
        """Print the table of goals; whether all measured ones are met."""
        self.say()
        self.say(f"{'figure':<62} {'measured':>14}   {'goal':<16} met")
        for goal in self.goals:
            verdict = "-" if goal.met is None else ("yes" if goal.met else "NO")
            self.say(f"{goal.name:<62} {goal.figure:>14}   {goal.goal:<16} {verdict}")
        return all(goal.met is not False for goal in self.goals)


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
