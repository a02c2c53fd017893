"""Draws the README's picture: the worked example of the chapter *The whole address*."""

import math
from pathlib import Path

import matplotlib as mpl
import torch

from ntm.addressing import address
from ntm.book import figures

mpl.use("agg")
figures.use_style()
memory = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
stages = address(
    memory,
    previous=torch.tensor([0.0, 0.0, 0.0, 1.0]),
    key=torch.tensor([1.0, 0.0]),
    strength=math.log(2),
    gate=0.5,
    kernel=torch.tensor([0.0, 0.0, 1.0]),
    exponent=2.0,
)
picture = Path(__file__).parent.parent / "_static" / "readme.png"
figures.address_bars(stages).savefig(picture, dpi=144, facecolor="white")
