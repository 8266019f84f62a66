"""Three browser engines behind one small interface, each driven as a reader would: real clicks, real keys."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import time
from abc import ABC, abstractmethod
from typing import Any

PATIENCE = float(os.environ.get("HEADSCOPE_PATIENCE", "4"))  # on a machine that has other work, waits take longer
FRAME = 0.02  # seconds: a little more than a picture takes
KEYS = {  # names as in the DOM, codes as in the WebDriver standard
    "Enter": "\ue007",
    "Tab": "\ue004",
    "Home": "\ue011",
    "End": "\ue010",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "Space": "\ue00d",
    "Escape": "\ue00c",
    "Delete": "\ue017",
}


class Browser(ABC):
    """A page in a browser. `errors`: what its console reported since the page was opened."""

    name: str
    errors: list[str]

    @abstractmethod
    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""

    @abstractmethod
    def js(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""

    @abstractmethod
    def point(self, selector: str, click: bool) -> None:
        """Move the pointer to the middle of an element, and click there."""

    @abstractmethod
    def press(self, *keys: str) -> None:
        """Press keys by name (`Enter`), or type texts."""

    @abstractmethod
    def picture(self, selector: str) -> bytes:
        """What an element looks like, as a PNG; it has to fit into the window."""

    @abstractmethod
    def resize(self, width: int, height: int) -> None:
        """Give the page that many pixels."""

    @abstractmethod
    def go(self, steps: int) -> None:
        """Back (−1), forward (1), or load again (0)."""

    def alive(self) -> bool:
        """Does it still answer?"""
        try:
            return bool(self.js("1") == 1)
        except Exception:  # each engine has its own for a program that is gone
            return False

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        self.point(selector, click=True)

    def hover(self, selector: str) -> None:
        """Hold the pointer over an element."""
        self.point(selector, click=False)

    def wait(self, condition: str, seconds: float = 10) -> None:
        """Until a JavaScript expression is true; one that reads what is not there yet is not."""
        asked = f"(() => {{ try {{ return Boolean({condition}); }} catch (why) {{ return String(why); }} }})()"
        end, pause = time.monotonic() + seconds * PATIENCE, 0.01
        while (found := self.js(asked)) is not True:
            if time.monotonic() > end:
                says = self.js("document.body.innerText")[:1500]
                why = f" ({found})" if found else ""
                raise TimeoutError(f"{self.name}: not within {seconds} s: {condition}{why}; the page says: {says}")
            time.sleep(pause)
            pause = min(0.1, 1.4 * pause)  # asking costs the page time, too

    def arrive(self, condition: str, seconds: float = 30) -> None:
        """The same while the page makes way for another, which cannot be asked meanwhile."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.wait(condition, max(0.1, end - time.monotonic()))
            except TimeoutError:
                raise
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def into_view(self, selector: str) -> dict[str, float]:
        """The middle of an element, scrolled to the middle of the window, once it rests and nothing lies over it."""
        middle = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect();"
            " const [x, y] = [Math.round(r.x + r.width / 2), Math.round(r.y + r.height / 2)];"
            " const hit = document.elementFromPoint(x, y);"
            " return [{x, y}, Boolean(hit && (e.contains(hit) || hit.contains(e)"
            " || [...(e.labels ?? [])].some((label) => label.contains(hit))))]; })()"
        )
        last: dict[str, float] | None = None
        for _ in range(25):
            place, bare = self.js(middle)
            if place == last and bare:
                break
            last = place
            time.sleep(FRAME)
        found: dict[str, float] = place
        return found

    def box(self, selector: str) -> dict[str, float]:
        """Where an element lies in the window."""
        found: dict[str, float] = self.js(
            f"(({{x, y, width, height}}) => ({{x, y, width, height}}))"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        return found


class Chromium(Browser):
    name = "chromium"

    def __init__(self, page: Any) -> None:
        self.page, self.errors = page, []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, address: str) -> None:
        self.page.goto(address)

    def js(self, expression: str) -> Any:
        return self.page.evaluate(f"() => ({expression})")

    def point(self, selector: str, click: bool) -> None:
        place = self.into_view(selector)
        self.page.mouse.move(place["x"], place["y"])
        if click:
            self.page.mouse.click(place["x"], place["y"])

    def press(self, *keys: str) -> None:
        for key in keys:
            if key in KEYS or len(key) == 1:
                self.page.keyboard.press(key)
            else:
                self.page.keyboard.insert_text(key)

    def picture(self, selector: str) -> bytes:
        self.into_view(selector)
        shot: bytes = self.page.screenshot(clip=self.box(selector), animations="disabled")
        return shot

    def resize(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})

    def go(self, steps: int) -> None:
        {-1: self.page.go_back, 0: self.page.reload, 1: self.page.go_forward}[steps]()


class Firefox(Browser):
    """Firefox over WebDriver BiDi, which it speaks itself: no driver program in between."""

    name = "firefox"

    def __init__(self, socket: Any) -> None:
        self._socket, self._ids, self.errors = socket, itertools.count(1), []
        self._opened = 0.0  # ms since 1970: what a page before this one reported may be told later
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        id = next(self._ids)
        self._socket.send(json.dumps({"id": id, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            told = answer["params"] if answer.get("method") == "log.entryAdded" else None
            if told and told["level"] == "error" and told["timestamp"] >= self._opened:
                self.errors.append(told["text"])
            if answer.get("id") == id:
                if answer["type"] == "error":
                    raise RuntimeError(f"firefox: {answer['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, address: str) -> None:
        self._opened = time.time() * 1000
        self._ask("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def js(self, expression: str) -> Any:
        answer = self._ask(
            "script.evaluate",
            expression=f"JSON.stringify(({expression}) ?? null)",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(f"firefox: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    def point(self, selector: str, click: bool) -> None:
        place = self.into_view(selector)
        steps: list[dict[str, Any]] = [{"type": "pointerMove", **place}]
        if click:
            steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._act({"type": "pointer", "id": "mouse", "actions": steps})

    def press(self, *keys: str) -> None:
        typed = [KEYS[key]] if (key := keys[0]) in KEYS else list(key)
        steps = [{"type": kind, "value": code} for code in typed for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": steps})
        if keys[1:]:
            self.press(*keys[1:])

    def _act(self, source: dict[str, Any]) -> None:
        self._ask("input.performActions", context=self._context, actions=[source])

    def picture(self, selector: str) -> bytes:
        self.into_view(selector)
        clip = {"type": "box", **self.box(selector)}
        shot = self._ask("browsingContext.captureScreenshot", context=self._context, clip=clip)
        return base64.b64decode(shot["data"])

    def resize(self, width: int, height: int) -> None:
        self._ask("browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height})

    def go(self, steps: int) -> None:
        if steps:
            self._ask("browsingContext.traverseHistory", context=self._context, delta=steps)
        else:
            self._ask("browsingContext.reload", context=self._context, wait="complete")


class WebKit(Browser):
    """WebKitGTK's MiniBrowser: the engine of Safari."""

    name = "webkit"

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    @property
    def errors(self) -> list[str]:  # type: ignore[override]
        return self.js("window.faults") or []

    def open(self, address: str) -> None:
        self._driver.get(address)
        self._listen()

    def _listen(self) -> None:
        # WebDriver has no console: the page itself is asked to remember what goes wrong from here on.
        self._driver.execute_script(
            "window.faults = [];"
            "const fault = (e) => faults.push(String(e.message ?? e.reason ?? e.violatedDirective));"
            "for (const kind of ['error', 'unhandledrejection', 'securitypolicyviolation'])"
            "  addEventListener(kind, fault);"
            "console.error = (...what) => faults.push(what.join(' '));"
        )

    def js(self, expression: str) -> Any:
        return self._driver.execute_script(f"return ({expression});")

    def point(self, selector: str, click: bool) -> None:
        from selenium.webdriver import ActionChains

        place = self.into_view(selector)
        actions = ActionChains(self._driver, duration=0)
        actions.w3c_actions.pointer_action.move_to_location(place["x"], place["y"])
        if click:
            actions.click()
        actions.perform()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self._driver, duration=0).send_keys(*(KEYS.get(key, key) for key in keys)).perform()

    def picture(self, selector: str) -> bytes:
        self.into_view(selector)
        from PIL import Image

        # Of the window: an element's own picture has what is scrolled over it elsewhere.
        box, picture = self.box(selector), io.BytesIO()
        window = Image.open(io.BytesIO(self._driver.get_screenshot_as_png()))
        corners = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
        window.crop(tuple(round(edge) for edge in corners)).save(picture, "PNG")
        return picture.getvalue()

    def resize(self, width: int, height: int) -> None:
        self._driver.set_window_size(width, height)
        # The window has a frame; what is asked for is the page's size.
        inner = self.js("[innerWidth, innerHeight]")
        self._driver.set_window_size(2 * width - inner[0], 2 * height - inner[1])

    def go(self, steps: int) -> None:
        {-1: self._driver.back, 0: self._driver.refresh, 1: self._driver.forward}[steps]()
        if steps == 0:
            self._listen()
