"""The browsers that the tests drive."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.app.browsers import Browser, Chromium
from tests.app.looks import choose


@pytest.mark.slow
def test_one_that_has_died_is_opened_anew_for_the_next_test(engine_of: Callable[[str], Browser]) -> None:
    first = engine_of("chromium")
    assert isinstance(first, Chromium)
    assert engine_of("chromium") is first
    first.page.close()
    assert not first.alive()
    assert engine_of("chromium") is not first
    assert engine_of("chromium").alive()


# A choice that goes elsewhere as the pointer comes, as often as it is told.
FLEEING = """<form id="controls"><input type="radio" name="view" value="atlas" style="position: fixed"></form>
<script>
let [left, choice] = [{times}, document.querySelector("input")];
addEventListener("mousemove", () => {{ if (left-- > 0) choice.style.top = `${{100 + (left % 7) * 50}}px`; }});
</script>"""


@pytest.mark.slow
def test_a_choice_that_moved_from_under_the_pointer_is_clicked_again(browser: Chromium) -> None:
    browser.page.set_content(FLEEING.format(times=1))
    choose(browser, "view", "atlas")
    assert browser.js("document.querySelector('[name=view]').checked")


@pytest.mark.slow
def test_a_choice_that_cannot_be_reached_is_told(browser: Chromium) -> None:
    browser.page.set_content(FLEEING.format(times=1000))
    with pytest.raises(AssertionError, match="moved away under three clicks"):
        choose(browser, "view", "atlas")


@pytest.mark.slow
def test_a_condition_that_reads_what_is_not_there_yet_is_waited_for(browser: Chromium) -> None:
    browser.page.set_content("<script>setTimeout(() => { document.body.innerHTML = '<b>here</b>'; }, 300)</script>")
    browser.wait("document.querySelector('b').textContent === 'here'")


@pytest.mark.slow
def test_a_condition_that_never_comes_true_is_told_with_what_it_could_not_read(browser: Chromium) -> None:
    browser.page.set_content("<p>nothing here")
    with pytest.raises(TimeoutError, match=r"(?s)textContent.*reading 'textContent'.*the page says: nothing here"):
        browser.wait("document.querySelector('b').textContent", 0.1)
