"""The pictures hold what the book promises of them: width, contrast, and what they show."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import tiny
import torch
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb

from ntm.book import figures, run_figures
from ntm.book.drawing import DOES, PARTS, Drawing
from ntm.runs import files, tables
from ntm.tasks import NGrams, PrioritySort
from ntm.training.trainer import Evaluation


@pytest.fixture(autouse=True)
def _style() -> None:
    mpl.use("agg")
    figures.use_style()
    yield
    plt.close("all")


def contrast(colour: str, other: str) -> float:
    """The contrast ratio of the Web Content Accessibility Guidelines."""

    def luminance(name: str) -> float:
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in to_rgb(name)
        ]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(colour), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", figures.COLOURS)
def test_every_colour_reads_on_white(name: str) -> None:
    assert contrast(figures.COLOURS[name], "white") >= 4.5


def test_numbers_in_a_heat_map_read_on_their_cells() -> None:
    memory = torch.linspace(-1, 1, 21).reshape(3, 7)
    _, (ax,) = figures.panels(1, 3)
    figures.memory_image(ax, memory)
    image = ax.images[0]
    assert len(ax.texts) == memory.numel()
    for text, value in zip(ax.texts, memory.flatten().tolist(), strict=True):
        cell = mpl.colors.to_hex(image.cmap(image.norm(value)))
        assert contrast(text.get_color(), cell) >= 4.5, f"{text.get_text()} on {cell}"
    assert ax.texts[10].get_text() == "0.0"
    assert ax.texts[0].get_text() == "−1.0"


def test_every_figure_has_the_width_of_the_book() -> None:
    stages = [torch.full((5,), 0.2)] * 4
    for figure in (
        figures.panels(2, 4)[0],
        figures.address_bars(stages),
        figures.address_diagram(),
    ):
        assert figure.get_figwidth() == figures.WIDTH
        assert figure.get_facecolor()[3] == 0, "the ground must be transparent"


def test_bars_are_the_weights_and_the_titles_number_the_stages() -> None:
    stages = torch.softmax(torch.randn(4, 6, dtype=torch.float64), dim=-1)
    figure = figures.address_bars(list(stages))
    for number, (ax, stage) in enumerate(
        zip(figure.axes, stages, strict=True), start=1
    ):
        assert [bar.get_height() for bar in ax.patches] == pytest.approx(stage.tolist())
        assert ax.get_title("left") == f"{number}  {figures.STAGES[number - 1]}"


def test_a_weighting_over_time_has_a_step_a_column() -> None:
    weightings = torch.softmax(torch.randn(9, 4), dim=-1)
    _, (ax,) = figures.panels(1, 3)
    figures.weightings_image(ax, weightings, "shifted")
    assert ax.images[0].get_array().shape == (4, 9)


def test_nothing_in_the_diagram_overlaps_or_is_cut_off() -> None:
    figure = figures.address_diagram()
    figure.canvas.draw()
    arrows = [patch.get_window_extent() for patch in figure.axes[0].patches]
    assert all(figure.bbox.y0 < box.y0 < box.y1 < figure.bbox.y1 for box in arrows)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for index, box in enumerate(boxes):
        assert figure.bbox.containsx(box.x0)
        assert figure.bbox.containsx(box.x1)
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def drawn_curves(seeds: int) -> plt.Axes:
    _, (ax,) = figures.panels(1, 3)
    curve = [
        Evaluation(seed, after, bits=after + seed**2, wrong_bits=-1.0)
        for after in (8, 4)
        for seed in range(seeds)
    ]
    figures.learning_curves(ax, curve, "memory", label="machines")
    return ax


def test_learning_curves_show_all_seeds_and_their_median() -> None:
    ax = drawn_curves(5)
    *seeds, median = ax.lines
    assert [line.get_ydata().tolist() for line in seeds] == [
        [8 + seed**2, 4 + seed**2] for seed in range(5)
    ]
    assert median.get_label() == "machines"
    assert (median.get_xdata().tolist(), median.get_ydata().tolist()) == (
        [4, 8],
        [8, 12],
    )
    (band,) = ax.collections
    edges = {y for x, y in band.get_paths()[0].vertices.tolist() if x == 4}
    # The quartiles of 0, 1, 4, 9 and 16 are 0.5 and 12.5.
    assert edges == {4 + 0.5, 4 + 12.5}


def test_of_three_seeds_there_are_no_quartiles() -> None:
    ax = drawn_curves(3)
    assert len(ax.lines) == 4
    assert not ax.collections


def test_a_curve_of_what_chance_decides_has_its_optimum_beside_it(
    tmp_path: Path,
) -> None:
    """Of the sequences of each evaluation: it is not the same each time."""
    rows = [
        Evaluation(seed, after, 140.0 - after, 70.0, 133.0 + after)
        for after in (4, 8)
        for seed in (0, 1)
    ]
    tables.write_curve(tmp_path / files.CURVE, rows)
    (ax,) = run_figures.curves(tmp_path, NGrams()).axes
    (best,) = [line for line in ax.lines if line.get_label() == "optimum"]
    assert best.get_xdata().tolist() == [4, 8]
    assert best.get_ydata().tolist() == [137, 141]
    tables.write_curve(tmp_path / files.CURVE, [r._replace(optimum=None) for r in rows])
    (ax,) = run_figures.curves(tmp_path, PrioritySort()).axes
    assert not [line for line in ax.lines if line.get_label() == "optimum"]
    _, (ax,) = figures.panels(1, 3)
    figures.learning_curves(ax, rows, "memory", value="excess")
    assert ax.lines[-1].get_ydata().tolist() == [136 - 137, 132 - 141]


def test_a_number_below_0_is_seen_in_the_picture_of_a_sequence() -> None:
    """Priorities go from -1 to 1; bits, and where the heads are, from 0 to 1."""
    settings = tiny.settings(
        task="priority-sort", task_options={"bits": 2, "vectors": 6, "highest": 3}
    )
    figure = run_figures.sequence(settings.make_model(0), settings, (6, 3))
    first, *others = (ax.images[0] for ax in figure.axes)
    assert first.get_array()[2].min() < -0.2
    assert (first.norm.vmin, first.norm.vmax) == (-1, 1)
    assert {(image.norm.vmin, image.norm.vmax) for image in others} == {(0, 1)}


def test_the_drawing_names_all_that_the_equations_of_a_step_name() -> None:
    drawn = BeautifulSoup(Drawing()._repr_html_(), "html.parser").svg
    words = " ".join(text.get_text() for text in drawn.select("text"))
    for name in (
        "xₜ",
        "hₜ",
        "yₜ",
        "Mₜ",
        "wₜ",
        "wₜ₋₁",
        "rₜ",
        "rₜ₋₁",
        "e, a",
        "k β g s γ",
    ):
        assert name in words
    assert not drawn.select(".dim, .lit")
    assert PARTS.keys() == DOES.keys()
    assert not drawn.select("[id]"), "a page may show it twice"


def test_a_chapter_lights_its_own_part_of_the_drawing() -> None:
    drawn = BeautifulSoup(Drawing("read", "memory")._repr_html_(), "html.parser").svg
    lit = " ".join(group.get_text() for group in drawn.select(".lit"))
    assert "rₜ" in lit
    assert "memory" in lit
    assert "controller" not in lit
    assert len(drawn.select(".dim")) == len(PARTS) - 2
    assert "row for each location" in drawn["aria-label"]
    with pytest.raises(ValueError, match="got 'tape', needs one of input, controller"):
        Drawing("tape")
