"""The built site as a reader's browser shows it; `make docs` or `make docs-short` builds it."""

import contextlib
import functools
import html
import http.server
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from skimage.io import imread

SITE = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium"),
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="needs the site: make docs"),
]


@pytest.fixture(scope="module")
def address():
    """Where the site is served, on this machine alone."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@contextlib.contextmanager
def opened(browser, address):
    """A page whose errors are collected; what is not of this site is not fetched."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.faults = []
    page.route(re.compile(f"^(?!{re.escape(address)})"),
               lambda route: route.fulfill(body="", content_type="text/javascript"))  # fmt: skip
    page.on("console", lambda message: page.faults.append(message.text)
            if message.type == "error" else None)  # fmt: skip
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("response", lambda response: page.faults.append(f"{response.status} {response.url}")
            if response.status >= 400 else None)  # fmt: skip
    yield page
    context.close()


@pytest.fixture
def page(browser, address):
    with opened(browser, address) as found:
        yield found


#: What is looked for on every page, in the browser.
LOOK = """() => {
    const images = [...document.images];
    const first = document.querySelector('article section > h1')?.nextElementSibling;
    return {
        broken: images.filter(i => i.loading != 'lazy' && i.complete && !i.naturalWidth)
            .map(i => i.src),
        silent: [...document.querySelectorAll('.bd-content img')].filter(i => !i.alt)
            .map(i => i.src),
        wasRun: !!document.querySelector('.sphx-glr-single-img, .sphx-glr-multi-img'),
        picture: !!first && (first.tagName == 'IMG' || !!first.querySelector('img')),
    };
}"""


@pytest.fixture(scope="module")
def seen(browser, address):
    """What a browser finds on every page, by its name; of the reference, on every eighth one."""
    found = {}
    reference = [name for name in pages() if name.startswith(("api/generated/", "_modules/"))]
    chosen = [name for name in pages() if name not in reference] + reference[::8]
    with opened(browser, address) as page:
        for name in chosen:
            page.faults.clear()
            page.set_viewport_size({"width": 1200, "height": 900})
            page.goto(f"{address}/{name}")
            found[name] = page.evaluate(LOOK) | {"faults": list(page.faults)}
            page.set_viewport_size({"width": 400, "height": 800})
            found[name]["width"] = page.evaluate("document.documentElement.scrollWidth")
    return found


def pages():
    return sorted(
        str(p.relative_to(SITE)) for p in SITE.rglob("*.html") if "_static" not in p.parts
    )


def test_every_page_loads_without_errors_and_with_its_images(seen):
    assert len(seen) > 40
    assert not [(name, page["broken"]) for name, page in seen.items() if page["broken"]]
    assert not [(name, page["faults"]) for name, page in seen.items() if page["faults"]]


def test_every_link_within_the_site_leads_somewhere():
    texts = {name: (SITE / name).read_text() for name in pages()}
    names = {
        name: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for name, text in texts.items()
    }
    lost = []
    for name, text in texts.items():
        for link in set(re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text)):
            path, _, anchor = unquote(html.unescape(link)).partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            file = (SITE / name).parent / path.partition("?")[0] if path else SITE / name
            target = str(file.resolve().relative_to(SITE.resolve()))
            if not file.exists() or (anchor and target in names and anchor not in names[target]):
                lost.append((name, link))
    assert not lost


def test_the_start_page_links_to_every_constructor_of_hog(page, address):
    page.goto(f"{address}/start/index.html")
    links = page.eval_on_selector_all("a", "links => links.map(a => a.href)")
    for name in ("skimage", "vlfeat", "dpm", "opencv"):
        assert any(link.endswith(f"#repinv.HOG.{name}") for link in links), name


def test_every_image_has_a_text_alternative(seen):
    assert not [(name, page["silent"]) for name, page in seen.items() if page["silent"]]


def test_tutorials_that_were_run_begin_with_their_picture(seen):
    tutorials = {name: page for name, page in seen.items() if re.match(r"gallery/\w+/plot_", name)}
    assert len(tutorials) >= 20
    run = {name: page for name, page in tutorials.items() if page["wasRun"]}
    assert len(run) >= 2
    assert not [name for name, page in run.items() if not page["picture"]]


def test_pictures_of_tutorials_have_captions(page, address):
    page.goto(f"{address}/gallery/shallow/plot_first_inversion.html")
    figure = page.locator("article section > h1 + figure")
    assert figure.locator("img").get_attribute("alt").startswith("A cup on a saucer")
    assert "found from the HOG alone" in figure.locator("figcaption").inner_text()


def test_figures_have_no_numbers_that_run_over_the_site():
    for name in pages():
        text = (SITE / name).read_text()
        for number in re.findall(r'<span class="caption-number">([^<]*)</span>', text):
            assert not number.strip(), name


def test_no_page_is_wider_than_a_telephone(seen):
    assert not [(name, page["width"]) for name, page in seen.items() if page["width"] > 401]


def test_pictures_are_shown_as_they_are_on_dark_pages(page, address):
    page.goto(f"{address}/index.html")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    filters = page.eval_on_selector_all(
        ".bd-content img", "images => images.map(i => getComputedStyle(i).filter)"
    )
    assert filters
    assert set(filters) == {"none"}


def test_sliders_are_moved_by_the_keyboard_and_say_what_they_show(page, address):
    page.goto(f"{address}/howto/play.html")
    sliders = page.locator(".slider")
    assert sliders.count() == 4
    for k in range(4):
        slider = sliders.nth(k)
        bar, figures = slider.locator("input[type=range]"), slider.locator("figure")
        count, seen = figures.count(), []
        bar.focus()
        page.keyboard.press("Home")
        for _ in range(count):
            shown = figures.filter(visible=True)
            assert shown.count() == 1
            seen.append(shown.locator("img").get_attribute("src"))
            caption = shown.locator("figcaption").inner_text()
            assert bar.get_attribute("aria-valuetext") in caption
            page.keyboard.press("ArrowRight")
        assert len(set(seen)) == count > 2
    assert not page.faults


def test_search_finds_a_constructor(page, address):
    page.goto(f"{address}/search.html?q=HOG.opencv")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")
    assert any("HOG" in link for link in found)


def test_thumbnails_show_something():
    # An example that was not run, as in the short form, has no figures, and the gallery's own
    # picture stands for it.
    images = SITE / "_images"
    drawn = {path.name.rpartition("_")[0] for path in images.glob("sphx_glr_plot_*_0??.png")}
    assert len(drawn) >= 2
    for name in drawn:
        assert np.asarray(imread(images / f"{name}_thumb.png"))[..., :3].std() > 20, name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_usable_on_a_telephone(page, address, theme):
    page.set_viewport_size({"width": 400, "height": 800})
    page.emulate_media(color_scheme=theme)
    for name in ("index.html", "start/index.html", "start/cheatsheet.html", "theory/energy.html",
                 "gallery/index.html", "gallery/shallow/plot_first_inversion.html",
                 "benchmarks.html",
                 "api/index.html", "api/generated/repinv.invert.html"):  # fmt: skip
        page.goto(f"{address}/{name}")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 1, (name, wide)
