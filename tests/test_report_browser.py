"""The report in a real browser: no error, no request, a slider that moves.

Needs the extra `test` (Playwright) and a Chromium of the system.
"""

import shutil

import pytest

from isl.figures.evaluation_output import write_evaluation
from tests.scored_wells import scored_well

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: pip install '.[test]'"
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 60_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    paths = [path for path in map(shutil.which, BROWSERS) if path]
    if not paths:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=paths[0], args=list(ARGUMENTS), timeout=TIMEOUT_MS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    scored = [scored_well("A1"), scored_well("A2", noise=30.0)]
    write_evaluation(folder, scored, "Report", {"command": "test"})
    return folder / "report.html"


@pytest.fixture(params=["light", "dark"])
def opened(request, browser, report):
    """The page, and what it complained of or asked for."""
    page = browser.new_page(color_scheme=request.param)
    page.set_default_timeout(TIMEOUT_MS)
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(report.as_uri())
    yield page, [text for text in heard if text != report.as_uri()]
    page.close()


def test_opens_without_errors_and_requests(opened):
    page, heard = opened
    assert [text for text in heard if not text.startswith("data:")] == []
    assert page.title() == "Report"


def test_every_image_is_decoded(opened):
    page, _ = opened
    sizes = page.eval_on_selector_all(
        "img", "images => images.map(i => i.complete && i.naturalWidth)"
    )
    assert len(sizes) >= 2 * (2 * 3 + 1 + 2 + 6) and all(sizes)


def test_page_is_not_wider_than_the_window(opened):
    page, _ = opened
    for width in (1200, 420):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.body.scrollWidth") <= width


def share_of_truth(page):
    """Percent of the first picture that shows the truth."""
    return page.eval_on_selector(
        ".compare .over",
        "image => parseFloat(getComputedStyle(image).clipPath"
        ".match(/([\\d.]+)%\\)$/)[1])",
    )


def test_slider_follows_the_keyboard(opened):
    page, _ = opened
    assert share_of_truth(page) == 50
    slider = page.locator(".compare input[type=range]").first
    assert "Truth to the left" in slider.get_attribute("aria-label")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert share_of_truth(page) == 60
    page.keyboard.press("Home")
    assert share_of_truth(page) == 0


def test_slider_follows_the_pointer(opened):
    page, _ = opened
    stage = page.locator(".stage").first
    box = stage.bounding_box()
    stage.click(position={"x": 0.25 * box["width"], "y": 0.5 * box["height"]})
    assert share_of_truth(page) == pytest.approx(25, abs=1)


def test_transmitted_light_replaces_the_truth(opened):
    page, _ = opened
    figure = page.locator(".compare").first
    light, name = figure.locator(".light"), figure.locator(".when-true")
    assert not light.is_visible() and name.is_visible()
    figure.get_by_role("checkbox").check()
    assert light.is_visible() and not name.is_visible()


def test_colours_follow_the_reader(browser, report):
    colours = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(report.as_uri())
        colours[scheme] = page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        page.close()
    assert colours == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
