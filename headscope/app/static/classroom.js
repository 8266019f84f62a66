// The classroom switch: words of a bundled list are starred out wherever the page shows tokens; numbers and ranks stay.
import { byId } from "./dom.js";
import { WORDS } from "./first.js";

const WORD = new RegExp(WORDS.hidden, "giu");
const stars = (text) => text.replace(WORD, (word) => "*".repeat(word.length));

/** Hides words in `places`, whoever draws there, before it is painted, as long as `on` says so; and says how many. */
export function bindClassroom(places, on) {
  const hide = () => {
    document.documentElement.toggleAttribute("data-classroom", on());
    for (const place of on() ? places : []) {
      const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
      for (let text; (text = texts.nextNode());) {
        if (stars(text.data) === text.data) continue;
        text.parentElement.dataset.starred = "";
        text.data = stars(text.data);
      }
      for (const element of place.querySelectorAll("[title], [aria-label]")) {
        for (const name of ["title", "aria-label"]) if (element.matches(`[${name}]`)) element.setAttribute(name, stars(element.getAttribute(name)));
      }
    }
    const hidden = [...byId("view").querySelectorAll("[data-starred]:not(.spare *)")].filter((one) => one.textContent.includes("**")).length; // a plot's is kept
    const says = on() ? `Classroom: ${hidden || "no"} word${hidden === 1 ? " is" : "s are"} hidden here; numbers and ranks are as they were.` : "";
    if (byId("veiled").textContent !== says) byId("veiled").textContent = says;
  };
  const watcher = new MutationObserver(() => { hide(); watcher.takeRecords(); });
  for (const place of places) watcher.observe(place, { subtree: true, childList: true, characterData: true, attributeFilter: ["title", "aria-label"] });
}
