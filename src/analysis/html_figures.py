"""Figures of the page of a run, by plotly: learning curves, and the DAG step by step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bn_mappo.analysis.curves import Curve
from bn_mappo.analysis.pictures import positions
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.tracking.metrics import Row, series

COLOURS = ("#2f6db3", "#d9822b", "#3a9d5d", "#8e5bb5", "#c23b3b", "#6b7280", "#b8860b", "#008b8b")
FIRST = ("test_return_mean", "return_mean", "test_battle_won_mean", "dag_density")  # the metrics that are shown first
NODE = 0.16  # radius of an agent in the picture, where neighbours are 1 apart
MARGIN: dict[str, int] = {"l": 60, "r": 20, "t": 40, "b": 50}


def metric_curves(go: Any, rows: list[Row]) -> Any:
    """All metrics of one run, one at a time: a menu chooses. `go` is plotly.graph_objects; None without any rows."""
    names = {name for row in rows for name, value in row.items() if name != "step" and value is not None}
    ordered = [*(name for name in FIRST if name in names), *sorted(names - set(FIRST))]
    if not ordered:
        return None
    figure = go.Figure()
    for place, name in enumerate(ordered):
        steps, values = series(rows, name)
        line = {"color": COLOURS[0], "width": 2}
        figure.add_trace(go.Scatter(x=steps, y=values, mode="lines+markers", name=name, line=line, visible=place == 0))
    buttons = [
        {
            "label": name,
            "method": "update",
            "args": [{"visible": [other == name for other in ordered]}, {"yaxis.title.text": name}],
        }
        for name in ordered
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.18, "yanchor": "top"}
    figure.update_layout(updatemenus=[menu], height=420, margin={**MARGIN, "t": 70}, template="plotly_white")
    figure.update_xaxes(title_text="environment steps")
    figure.update_yaxes(title_text=ordered[0])
    return figure


def mean_curves(go: Any, curves: Sequence[Curve], metric: str) -> Any:
    """One line a configuration: its mean over seeds, and the 95 % interval of the mean as a band."""
    figure = go.Figure()
    for place, curve in enumerate(curves):
        colour = COLOURS[place % len(COLOURS)]
        label = f"{curve.label} ({curve.n_seeds} seed{'s' * (curve.n_seeds > 1)})"
        x, low, high = curve.steps.tolist(), curve.low.tolist(), curve.high.tolist()
        band = {"fill": "toself", "fillcolor": colour, "opacity": 0.18, "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=x + x[::-1], y=high + low[::-1], legendgroup=label, showlegend=False, **band))
        line = {"color": colour, "width": 2}
        figure.add_trace(go.Scatter(x=x, y=curve.mean.tolist(), mode="lines", name=label, legendgroup=label, line=line))
    figure.update_layout(height=460, margin=MARGIN, template="plotly_white", legend={"orientation": "h", "y": -0.2})
    figure.update_xaxes(title_text="environment steps")
    figure.update_yaxes(title_text=metric)
    return figure


def dag_slider(go: Any, columns: dict[str, Array], info: EnvInfo) -> Any:
    """The DAG of every recorded step (training/step_recorder.py), with a slider and a button that plays them.

    An arrow leads from parent to child; the colour of an agent is its action.
    """
    place = positions(info)  # [N, 2]
    names = info.record.action_names or tuple(f"action {number}" for number in range(info.n_actions))
    frames, labels = [], []
    for episode, step, adjacency, actions in zip(
        columns["episode"], columns["step"], columns["adjacency"], columns["actions"], strict=True
    ):
        labels.append(f"{episode + 1}.{step}")
        n_edges = int(adjacency.sum())
        title = f"episode {episode + 1}, step {step}: {n_edges} edge{'s' * (n_edges != 1)}"
        traces = [_edges(go, adjacency, place), _agents(go, actions, names, place)]
        frames.append(go.Frame(data=traces, name=labels[-1], layout={"title": {"text": title}}))
    figure = go.Figure(data=frames[0].data, frames=frames)
    still = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate", "transition": {"duration": 0}}
    moving = {**still, "frame": {"duration": 250, "redraw": True}, "fromcurrent": True}
    steps = [{"label": label, "method": "animate", "args": [[label], still]} for label in labels]
    play = [
        {"label": "play", "method": "animate", "args": [None, moving]},
        {"label": "stop", "method": "animate", "args": [[None], still]},
    ]
    shown = {"prefix": "episode.step "}
    slider = {"active": 0, "steps": steps, "currentvalue": shown, "pad": {"t": 30}, "x": 0.12, "len": 0.88}
    buttons = {
        "type": "buttons",
        "buttons": play,
        "direction": "left",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "pad": {"t": 45},
    }
    low, high = place.min(0) - 0.6, place.max(0) + 0.6
    figure.update_layout(
        title={"text": frames[0].layout.title.text, "font": {"size": 14}},
        sliders=[slider],
        updatemenus=[buttons],
        height=max(420, min(720, int(260 + 110 * (high[1] - low[1])))),
        showlegend=False,
        template="plotly_white",
        margin={**MARGIN, "b": 150},
    )
    figure.update_xaxes(visible=False, range=[low[0], high[0]])
    figure.update_yaxes(visible=False, range=[low[1], high[1]], scaleanchor="x")
    return figure


def _edges(go: Any, adjacency: Array, place: Array) -> Any:
    """One trace of all arrows: (begin, end, gap) for each, with an arrow head at the end."""
    parents, children = np.nonzero(adjacency)
    along = place[children] - place[parents]  # [E, 2]
    along = along / np.linalg.norm(along, axis=-1, keepdims=True).clip(1e-9)
    ends = place[children] - NODE * along  # [E, 2]
    gap = np.full(len(parents), np.nan)
    x, y = (
        [
            None if np.isnan(value) else float(value)
            for value in np.stack([place[parents, axis], ends[:, axis], gap], 1).ravel()
        ]
        for axis in (0, 1)
    )
    sizes = [0, 11, 0] * len(parents)
    marker = {"symbol": "arrow", "size": sizes, "angleref": "previous", "color": "#5b6472"}
    line = {"color": "rgba(91, 100, 114, 0.55)", "width": 1.6}
    return go.Scatter(x=x, y=y, mode="lines+markers", marker=marker, line=line, hoverinfo="skip")


def _agents(go: Any, actions: Array, names: Sequence[str], place: Array) -> Any:
    colours = [COLOURS[int(action) % len(COLOURS)] for action in actions]
    text = [f"agent {agent}: {names[int(action)]}" for agent, action in enumerate(actions)]
    return go.Scatter(
        x=place[:, 0].tolist(),
        y=place[:, 1].tolist(),
        mode="markers+text",
        text=[str(agent) for agent in range(len(actions))],
        textfont={"color": "white"},
        hovertext=text,
        hoverinfo="text",
        marker={"size": 30, "color": colours, "line": {"color": "white", "width": 1}},
    )
