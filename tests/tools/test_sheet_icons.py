"""The contact sheet shows what the table names, where it says."""

import numpy as np
from PIL import Image

from phasebook.models.pictures.icons import PARTS, icons
from tools.sheet_icons import HELD_OUT, LINE, SIDE, main, sheet


def test_a_thing_lies_under_its_styles():
    data = icons()
    apple = data.whats.index("red apple")
    picture = np.asarray(sheet(data, range(apple, apple + 1)))
    for style in range(len(data.styles)):
        cell = picture[LINE:LINE + SIDE - 2, style * SIDE:(style + 1) * SIDE - 2].astype(int)
        red, green, _ = cell[SIDE // 2, SIDE // 2]
        assert red > green + 60, data.styles[style]
    held = (data.part == PARTS.index("held out")) & (data.what == apple)
    (style,) = data.style[held].tolist()
    assert tuple(picture[LINE + 1, style * SIDE + 1]) == HELD_OUT


def test_the_command(tmp_path, capsys):
    assert main(["0", "9", str(tmp_path / "sheet.png")]) == 0
    assert Image.open(tmp_path / "sheet.png").size == (4 * (7 * SIDE + 8), 3 * (SIDE + LINE))
    assert main(["5", "1382", str(tmp_path / "sheet.png")]) == 2
    assert capsys.readouterr().err == "FIRST, LAST = 5, 1382: takes numbers from 0 to 1381\n"
