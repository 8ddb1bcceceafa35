#!/usr/bin/env python3
"""peer_pillow.py - the same pages with Pillow, read from standard input (a paragraph a line).

    peer_pillow.py WIDTHS SECONDS FONT [LANGUAGE] < TEXT

WIDTHS is how lines are broken: `each` measures the line so far with every further word, which is
what most scripts do; `cached` adds up widths of words that it has met before. Either way with
libraqm, DejaVu Sans at 10 pixels, two columns of 64 rows of 16 pixels on a grey page of 1024 x 1024.
Chinese has no spaces: there every character is a word. Prints what bench-render prints.
"""

import sys
import time

from PIL import Image, ImageDraw, ImageFont, features

SIDE, PITCH, GUTTER, INSET, BASELINE, SIZE = 1024, 16, 16, 2, 12, 10
COLUMN = (SIDE - GUTTER) // 2
ROWS = SIDE // PITCH
RAQM = ImageFont.Layout.RAQM if hasattr(ImageFont, "Layout") else ImageFont.LAYOUT_RAQM


def words_of(paragraph, glue):
    return paragraph.split(" ") if glue else list(paragraph)


def wrap_each(font, words, glue, width):
    line = ""
    for word in words:
        longer = line + glue + word if line else word
        if line and font.getlength(longer) > width:
            yield line
            line = word
        else:
            line = longer
    if line:
        yield line


def wrap_cached(font, words, glue, width, known):
    if "" not in known:
        known[""] = font.getlength(" ") if glue else 0.0
    space = known[""]
    line, length = [], 0.0
    for word in words:
        size = known.get(word)
        if size is None:
            size = known[word] = font.getlength(word)
        if line and length + space + size > width:
            yield glue.join(line)
            line, length = [word], size
        else:
            length += space + size if line else size
            line.append(word)
    if line:
        yield glue.join(line)


def main():
    widths, seconds, path = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    glue = "" if len(sys.argv) > 4 and sys.argv[4].startswith("zh") else " "
    paragraphs = [line.rstrip("\n") for line in sys.stdin]
    assert features.check("raqm"), "Pillow without libraqm"
    assert paragraphs, "no text"
    font = ImageFont.truetype(path, SIZE, layout_engine=RAQM)
    known = {}
    pages = characters = unfinished = row = column = 0
    start = cpu_start = None
    image = Image.new("L", (SIDE, SIDE), 255)
    draw = ImageDraw.Draw(image)
    while True:
        for paragraph in paragraphs:
            words = words_of(paragraph, glue)
            if widths == "each":
                lines = wrap_each(font, words, glue, COLUMN - 2 * INSET)
            else:
                lines = wrap_cached(font, words, glue, COLUMN - 2 * INSET, known)
            for line in lines:
                if row == ROWS:
                    row, column = 0, column + 1
                if column == 2:
                    column = 0
                    if start is None:
                        start, cpu_start = time.monotonic(), time.process_time()
                    else:
                        pages += 1
                        characters += unfinished
                    unfinished = 0
                    image = Image.new("L", (SIDE, SIDE), 255)
                    draw = ImageDraw.Draw(image)
                x = column * (COLUMN + GUTTER) + INSET
                draw.text((x, row * PITCH + BASELINE), line, fill=0, font=font, anchor="ls")
                unfinished += len(line)
                row += 1
            if start is not None and time.monotonic() >= start + seconds:
                wall = time.monotonic() - start
                print(pages, characters, "%.3f" % wall, "%.3f" % (time.process_time() - cpu_start))
                return


main()
