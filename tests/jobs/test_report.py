"""The report, as a browser shows it."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import browser
import dice
import pyarrow.parquet as pq
import pytest
import samples
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from dice_core.policy import Policy
from dice_core.rows import Reason
from jobs.config import ScoreSettings
from jobs.decide import decide
from jobs.errors import Refusal
from jobs.evaluate import evaluate
from jobs.report import ReportSettings, report
from jobs.review import review
from jobs.score import score

SCRIPT = "00/<script>alert(1)</script>.png"
HOSTILE = (
    SCRIPT,
    '00/"onerror=alert(1) x="',
    "00/=cmd()",
    "00/\u202egnp.exe",
    "00/\x1b[31mred\x07",
    "00/a & b",
)
NOW = 1795680000.0


@pytest.fixture(scope="module")
def job(dice_model, tmp_path_factory):
    """Two lots, one with hostile names; good, defective, mislabelled and rejected members."""
    folder = tmp_path_factory.mktemp("report")
    hostile = [(name, dice.photograph("00", 7, at)) for at, name in enumerate(HOSTILE)]
    first = [*dice.bad(6, seed=7), *dice.good(12, seed=7)]
    second = [*hostile, *dice.bad(3, seed=8, folder="04"), *dice.good(4, seed=8), ("00/empty.jpg", b"")]
    sources = (
        samples.write_tar(folder / "one.tar", first),
        samples.write_tar(folder / "<b>two&.tar", second),
    )
    out = str(folder / "out")
    score(ScoreSettings(sources, dice_model, out, "serial"), evaluate=evaluate)
    return Path(out)


@pytest.fixture(scope="module")
def written(job, tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "report.html"
    return report(ReportSettings(str(job), str(path), gallery=80), NOW), path


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if not browser.found():
        pytest.skip("no chromium and chromedriver: the report was NOT looked at in a browser")
    with browser.opened(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(driver, written):
    browser.requests(driver)
    driver.get_log("browser")
    driver.get(written[1].as_uri())
    return driver


class Read(HTMLParser):
    """All tags with their attributes, and all text, of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def read(written):
    return Read(written[1].read_text())


# The file


def test_the_file_is_whole_and_says_how_much_it_shows(written):
    told, path = written
    assert told.size == path.stat().st_size
    assert told.images > 20
    assert told.gone == 0


def test_nothing_in_it_points_anywhere_else(read):
    for tag, attributes in read.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if value := attributes.get(name):
                assert value.startswith(("data:", "#")), (tag, value)
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on") and name != "one"]


def test_one_script_and_one_style_are_all_that_its_policy_allows(read):
    tags = [tag for tag, _ in read.tags]
    assert (tags.count("script"), tags.count("style")) == (1, 1)
    (policy,) = (known["content"] for tag, known in read.tags if known.get("http-equiv"))
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )


def test_hostile_names_are_text_in_it(read):
    text = "".join(read.text)
    for name in (SCRIPT, '00/"onerror=alert(1) x="', "00/=cmd()", "00/a & b", "<b>two&.tar"):
        assert name in text
    assert r"\u202egnp.exe" in text
    assert r"00/\x1b[31mred\x07" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    assert [tag for tag, _ in read.tags if tag == "b"] == []


def test_every_axis_has_a_title_and_every_colour_a_legend(written):
    text = written[1].read_text()
    titles = re.findall(r'<text class="title"[^>]*>([^<]*)</text>', text)
    assert titles == ["defect_score, logarithmic", "images, logarithmic", "recall", "precision"]
    legends = re.findall(r'<p class="legend">(.*?)</p>', text)
    plot, faces, lots = (re.findall(r'<span class="(\w+)">', legend) for legend in legends)
    assert plot == ["unlabelled", "good", "defective"]
    assert faces == ["middle", "high", "limit", *plot]
    assert lots == ["middle", "high", "limit"]


def test_every_picture_has_its_words(read):
    alternatives = [known["alt"] for tag, known in read.tags if tag == "img"]
    assert len(alternatives) % 4 == 0
    assert all(alternatives)
    assert all(known.get("aria-label") for tag, known in read.tags if tag == "svg")


def test_it_tells_what_was_rejected_and_how_it_was_made(read, job):
    text = "".join(read.text)
    assert "empty: 00/empty.jpg in " in text
    assert f"Report of 2026-11-26 08:00 UTC on {job}" in text
    assert "2026-11-26T" in text
    assert str(job) in text
    assert "fingerprint" in text
    assert "threshold of defect_score" in text


def text_of(job, folder):
    report(ReportSettings(str(job), str(folder / "r.html"), gallery=0), NOW)
    return " ".join("".join(Read((folder / "r.html").read_text()).text).split())


def test_it_names_the_decision_and_the_review_in_force_and_before_them_says_that_there_is_none(job, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(job, copied)
    text = text_of(copied, tmp_path)
    assert "Thresholds: the model's, no decision is in force; policy f1, defect_score" in text
    assert "none was reviewed" in text
    hashes = pq.read_table(next(copied.glob("part-*.parquet")))["content_hash"].to_pylist()[:2]
    labels = tmp_path / "labels.csv"
    labels.write_text("content_hash,label\n" + "".join(f"{value},04\n" for value in hashes))
    review(str(copied), str(labels), NOW)
    decide(str(copied), Policy.parse("value=4.25"), NOW, note="until the <camera> is cleaned")
    text = text_of(copied, tmp_path)
    top, _, below = text.partition("How it was made In force")
    assert "Thresholds: decision 1 of 2026-11-26 08:00 UTC; policy value=4.25, defect_score 4.25." in top
    assert "Note: until the <camera> is cleaned" in top
    assert "Labels: 2 reviewed, in force by review 1." in top
    for told in ("decision1", "policyvalue=4.25", "until the <camera> is cleaned", "as of review 1"):
        assert told in below


def test_an_incomplete_job_says_so_first(job, tmp_path):
    copied = tmp_path / "copied"
    copied.mkdir()
    parts = sorted(job.glob("part-*"))
    for path in set(job.iterdir()) - {parts[0]}:
        (copied / path.name).write_bytes(path.read_bytes())
    report(ReportSettings(str(copied), str(tmp_path / "r.html")), NOW)
    text = (tmp_path / "r.html").read_text()
    assert text.index("INCOMPLETE: 1 of 2 planned shards") < text.index('id="figures"')


def test_the_gallery_says_of_how_many_it_is_a_sample(job, tmp_path):
    told = report(ReportSettings(str(job), str(tmp_path / "r.html"), gallery=2), NOW)
    text = (tmp_path / "r.html").read_text()
    found = evaluate(str(job))
    assert f"A sample: {told.images} of {found['images'] - found['rejected']} images" in text
    assert (
        f"<strong>worst</strong>: anomalies of the highest scores (2 of {found['tp'] + found['fp']})" in text
    )
    assert f"<strong>false alarm</strong>: labelled good, called (2 of {found['fp']})" in text
    assert "<strong>unknown part</strong>" not in text
    assert "</span>, labelled good. In the sample as: false alarm" in text


def test_archives_that_are_gone_are_said_to_be(job, tmp_path):
    away = job.parent / "away"
    away.mkdir()
    for path in job.parent.glob("*.tar"):
        path.rename(away / path.name)
    try:
        told = report(ReportSettings(str(job), str(tmp_path / "r.html")), NOW)
        assert told.gone == told.images > 0
        assert "The image is not to be had: <bdi>" in (tmp_path / "r.html").read_text()
        # They are found where one says they are.
        roots = (f"{away}={job.parent}",)
        assert report(ReportSettings(str(job), str(tmp_path / "r.html"), source_roots=roots), NOW).gone == 0
    finally:
        for path in away.glob("*.tar"):
            path.rename(job.parent / path.name)


def test_a_job_without_labels_and_one_without_images_have_a_report(dice_model, tmp_path):
    for name, listed in (
        ("unlabelled", [(f"x/{at}.jpg", dice.photograph("04", 7, at)) for at in range(3)]),
        ("nothing", [("x/none.jpg", b"")]),
    ):
        lot = samples.write_tar(tmp_path / f"{name}.tar", listed)
        settings = ScoreSettings((lot,), dice_model, str(tmp_path / name), "serial")
        score(settings, evaluate=evaluate)
        report(ReportSettings(str(tmp_path / name), str(tmp_path / "r.html"), gallery=2), NOW)
        text = (tmp_path / "r.html").read_text()
        assert "no labelled images" in text
        assert "Precision-recall" not in text
    assert Reason.EMPTY.value in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gallery": -1}, "--gallery -1: give a number of images from 0"),
        ({"gallery": 501}, "--gallery 501: give a number of images from 0 to 500"),
        ({"out": "{job}/report.html"}, "in the job folder: name a file outside it"),
        ({"out": "{tmp}"}, "is a folder: name a file in it"),
        ({"out": "{tmp}/notes"}, "notes: exists and is no report: name another file"),
        (
            {"out": "{tmp}/none/r.html"},
            "none/r.html: its folder does not exist: make it, or name another file",
        ),
        ({"job": "{tmp}/none"}, "none: not a job folder"),
        ({"source_roots": ("here",)}, "--source-root here: give PREFIX=NAME"),
    ],
)
def test_a_report_that_cannot_be_is_refused(job, tmp_path, changes, told):
    (tmp_path / "notes").write_text("mine")
    known = {"job": str(job), "out": "{tmp}/r.html", "gallery": 1, **changes}
    texts = {
        name: value.format(job=job, tmp=tmp_path) for name, value in known.items() if isinstance(value, str)
    }
    with pytest.raises(Refusal, match=re.escape(told)):
        report(ReportSettings(**{**known, **texts}), NOW)
    assert samples.names(tmp_path) == ["notes"]


# In the browser


def shown(page):
    return [entry for entry in page.find_elements(By.TAG_NAME, "article") if entry.is_displayed()]


def choose(page, key, value):
    selector = "#order" if key == "order" else f"select[data-key={key}]"
    Select(page.find_element(By.CSS_SELECTOR, selector)).select_by_value(value)


def test_it_opens_without_an_error_and_asks_for_nothing(page, written):
    assert page.title == "out, 2026-11-26 08:00 UTC: dice-inspect"
    assert page.find_element(By.TAG_NAME, "h1").text == "Inspection of out"
    assert page.get_log("browser") == []
    # Chromium's own first page may still be loading.
    elsewhere = {url for url in browser.requests(page) if not url.startswith(("data:", "chrome:"))}
    assert elsewhere == {written[1].as_uri()}
    widths = page.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert set(widths) == {dice.SIZE}


def test_filters_and_orders_work(page):
    entries = shown(page)
    assert len(entries) > 20
    verdicts = {entry.get_attribute("data-verdict") for entry in entries}
    assert {"good", "anomaly"} <= verdicts
    choose(page, "verdict", "anomaly")
    called = shown(page)
    assert {entry.get_attribute("data-verdict") for entry in called} == {"anomaly"}
    told = page.find_element(By.ID, "shown").text
    assert told == f"{len(called)} of {len(entries)} of the sample shown"
    choose(page, "face", "04")
    assert {entry.get_attribute("data-face") for entry in shown(page)} == {"04"}
    choose(page, "face", "")
    (lot,) = (known for known in {entry.get_attribute("data-lot") for entry in entries} if "two" in known)
    choose(page, "lot", lot)
    choose(page, "why", "false alarm")
    alarms = shown(page)
    assert len(alarms) == 3
    assert {entry.get_attribute("data-lot") for entry in alarms} == {lot}
    for key in ("verdict", "lot", "why"):
        choose(page, key, "")
    for order, key, sign in (
        ("score", "score", 1),
        ("score-falling", "score", -1),
        ("distance", "distance", 1),
    ):
        choose(page, "order", order)
        values = [sign * float(entry.get_attribute(f"data-{key}")) for entry in shown(page)]
        assert values == sorted(values)
        assert len(values) == len(entries)


def test_filters_that_no_image_passes_say_so_and_are_taken_back_at_once(page):
    nothing = page.find_element(By.ID, "nothing")
    everything = len(shown(page))
    assert not nothing.is_displayed()
    choose(page, "verdict", "good")
    choose(page, "why", "nearest above")
    assert shown(page) == []
    assert nothing.is_displayed()
    nothing.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(page, 5).until(lambda _: len(shown(page)) == everything)
    assert not nothing.is_displayed()
    assert page.get_log("browser") == []


def test_tables_are_sorted_from_the_keyboard(page):
    button = page.find_element(By.XPATH, "//section[@id='faces']//th[2]/button")
    for direction, sign in (("ascending", 1), ("descending", -1)):
        button.send_keys(Keys.ENTER)
        header = page.find_element(By.XPATH, "//section[@id='faces']//th[2]")
        assert header.get_attribute("aria-sort") == direction
        cells = page.find_elements(By.XPATH, "//section[@id='faces']//tbody/tr/td[1]")
        values = [sign * int(cell.text.replace(",", "")) for cell in cells]
        assert values == sorted(values)
    assert page.get_log("browser") == []


@pytest.mark.parametrize(("width", "columns"), [(1400, 3), (390, 1)])
def test_pictures_are_large_enough_to_see_a_scratch(page, width, columns):
    browser.resize(page, width)
    try:
        script = "return [...document.querySelectorAll('.panels img')].map(image => image.width)"
        assert min(page.execute_script(script)) > 150
        places = {entry.rect["x"] for entry in shown(page)}
        assert len(places) == columns
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_fits_a_telephone(page):
    browser.resize(page, 390)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_wide_table_keeps_its_first_column_and_says_that_it_goes_on(page):
    (cue,) = page.find_elements(By.CSS_SELECTOR, "#faces .cue")
    wide = page.find_element(By.CSS_SELECTOR, "#faces .wide")
    browser.resize(page, 1400)
    try:
        WebDriverWait(page, 5).until(lambda _: not cue.is_displayed())
        browser.resize(page, 390)
        WebDriverWait(page, 5).until(lambda _: cue.is_displayed())
        first = wide.find_element(By.CSS_SELECTOR, "tbody th")
        before = first.rect["x"]
        page.execute_script("arguments[0].scrollLeft = arguments[0].scrollWidth", wide)
        assert first.rect["x"] == before
        WebDriverWait(page, 5).until(lambda _: not cue.is_displayed())
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_path_breaks_behind_what_parts_its_words(written):
    text = written[1].read_text()
    assert "/<wbr>one.<wbr>tar</bdi>" in text
    assert "&lt;b&gt;two&amp;.<wbr>tar</bdi>" in text


def test_what_a_name_says_is_not_done(page):
    assert page.execute_script("return document.querySelectorAll('article script, article b').length") == 0
    assert any(entry.text.startswith(SCRIPT) for entry in page.find_elements(By.TAG_NAME, "h3"))
