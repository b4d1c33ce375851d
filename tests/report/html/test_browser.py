"""The page in a browser: headless Chromium draws it, in light, in dark, on a phone and on paper."""

import re
import shutil
import struct
import subprocess
import zlib

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
PHONE = 390

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH: apt-get install chromium"),
]


def chromium(tmp_path, *arguments):
    """Run Chromium without a window; return its standard output and error."""
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(  # noqa: S603 - the browser of this machine, on our own page
        [CHROMIUM, *fixed, profile, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def pixels(path):
    """The rows of a PNG of 8 bits, as bytes without their filter: enough to see which bytes occur."""
    data = path.read_bytes()
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert depth == 8
    packed, place = b"", 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + length]
        place += 12 + length
    samples = {2: 3, 6: 4}[colour]
    return width, height, samples, _unfiltered(zlib.decompress(packed), width * samples, height, samples)


def _unfiltered(raw, stride, height, step):
    """Undo the filters of the PNG specification, section 9."""
    before, rows = bytearray(stride), []
    for number in range(height):
        start = number * (stride + 1)
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for place in range(stride):
            left = row[place - step] if place >= step else 0
            above, corner = before[place], before[place - step] if place >= step else 0
            if kind == 1:
                row[place] = (row[place] + left) & 255
            elif kind == 2:
                row[place] = (row[place] + above) & 255
            elif kind == 3:
                row[place] = (row[place] + (left + above) // 2) & 255
            elif kind == 4:
                guess = left + above - corner
                near = min((left, above, corner), key=lambda each: abs(guess - each))
                row[place] = (row[place] + near) & 255
        rows.append(bytes(row))
        before = row
    return rows


def brightness(path):
    """The mean of red, green and blue of a screenshot, and the number of different rows."""
    _, _, samples, rows = pixels(path)
    total = sum(sum(row[0::samples]) + sum(row[1::samples]) + sum(row[2::samples]) for row in rows)
    return total / (3 * len(rows) * len(rows[0]) / samples), len(set(rows))


@pytest.fixture
def file(tmp_path, page):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def screenshot(tmp_path, file, name, *arguments):
    shot = tmp_path / name
    chromium(tmp_path, f"--screenshot={shot}", "--window-size=600,400", *arguments, file.as_uri())
    return brightness(shot)


def test_the_page_is_drawn_light_and_dark_as_the_reader_prefers(tmp_path, file):
    """Not blank: many different rows of pixels. Dark mode is dark, and light mode light."""
    light, rows = screenshot(tmp_path, file, "light.png")
    dark, dark_rows = screenshot(tmp_path, file, "dark.png", "--blink-settings=preferredColorScheme=0")
    assert rows > 100
    assert dark_rows > 100
    assert light > 200
    assert dark < 80


def test_an_empty_page_is_seen_to_be_blank(tmp_path):
    """The negative control of the test above."""
    empty = tmp_path / "empty.html"
    empty.write_text("<!doctype html><title>nothing</title>", encoding="utf-8")
    assert screenshot(tmp_path, empty, "empty.png")[1] == 1


def test_nothing_is_wider_than_a_phone_and_nothing_complains(tmp_path, file, page):
    """In a frame of 390 pixels, of a copy whose policy lets our ruler run: tables scroll inside, the page does not."""
    ruler = (
        "<script>addEventListener('load',()=>{const d=document.documentElement;"
        "document.querySelectorAll('details').forEach(e=>e.open=true);"
        "const n=document.querySelectorAll('svg').length;"
        "parent.document.title=`${d.scrollWidth} ${d.clientWidth} ${n}`})</script>"
    )
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    copy = copy.replace("</body>", f"{ruler}</body>")
    (tmp_path / "copy.html").write_text(copy, encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<title>none</title><iframe src="copy.html" width="{PHONE}" height="900"></iframe>', encoding="utf-8"
    )
    dom, _ = chromium(tmp_path, "--dump-dom", "--virtual-time-budget=3000", frame.as_uri())
    scrolled, shown, charts = map(int, re.search(r"<title>(\d+) (\d+) (\d+)</title>", dom).groups())
    assert charts >= 6
    assert shown <= PHONE
    assert scrolled <= shown
    _, said = chromium(tmp_path, "--dump-dom", "--enable-logging=stderr", "--v=0", file.as_uri())
    assert [line for line in said.splitlines() if "CONSOLE" in line] == []


def test_it_prints_with_its_tables_open(tmp_path, file):
    """More than two pages, as the numbers are printed too; a page without them is shorter."""
    counted, text = {}, file.read_text(encoding="utf-8")
    for kind, shown in (("open", text), ("none", re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL))):
        source, printed = tmp_path / f"{kind}.html", tmp_path / f"{kind}.pdf"
        source.write_text(shown, encoding="utf-8")
        chromium(tmp_path, f"--print-to-pdf={printed}", "--no-pdf-header-footer", source.as_uri())
        assert printed.read_bytes().startswith(b"%PDF")
        counted[kind] = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert counted["open"] > counted["none"] > 0
