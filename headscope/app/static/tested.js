// The button that tests the server's own model on sixty texts; how far that is, whatever view is looked at.
import { get, leave, Lost, post, said } from "./api.js";
import { byId, h } from "./dom.js";
import { rest } from "./isolated.js";

const EVERY = 1000; // milliseconds
const going = ({ testing }) => ["waiting", "working"].includes(testing?.state);
let followed = false;

/** Fills the place for it in the view that is shown, if there is one; `again` shows the view anew once there is a survey. */
export function testIt(server, again) {
  const place = byId("test-it");
  const { survey, testing } = server.survey;
  if (going(server.survey)) follow(server, again);
  if (!place || survey || !testing) return;
  const told = testing.closed ?? testing.problem ?? (testing.state === "stopped" ? "Stopped; what was measured is kept." : "Whether it is more than any mixing would give, 60 texts and five untrained twins tell. It takes minutes; you can go on reading meanwhile.");
  if (!going(server.survey)) return fill(place, [testing.closed ? null : button(testing.state === "stopped" ? "Go on" : "Test this model on 60 texts", () => post("survey/test"), server, again), h("p", { class: "says" }, told[0].toUpperCase() + told.slice(1))]);
  const bar = h("progress", { "aria-label": "The test on 60 texts", ...(testing.total ? { max: testing.total, value: testing.done } : {}) });
  const share = testing.total ? ` ${Math.floor((100 * testing.done) / testing.total)} %${rest(testing.seconds_left)}.` : "";
  fill(place, [bar, h("p", { class: "says" }, `Testing: ${testing.step ?? "waiting for its turn"} …${share}`), button("Stop", () => leave("survey/test"), server, again)]);
}

/** Puts the parts in the place of those before, and leaves the focus on a button that is still the same. */
function fill(place, parts) {
  const at = place.contains(document.activeElement) && document.activeElement.tagName;
  place.replaceChildren(...parts.filter(Boolean));
  if (at) place.querySelector("button")?.focus();
}

function button(name, ask, server, again) {
  const made = h("button", { type: "button", class: "quiet" }, name);
  made.addEventListener("click", async () => {
    made.disabled = true;
    server.survey = await ask().catch((fault) => ({ ...server.survey, testing: { ...server.survey.testing, problem: said(fault) } }));
    testIt(server, again);
  });
  return made;
}

async function follow(server, again) {
  if (followed) return;
  followed = true;
  while (going(server.survey)) {
    await new Promise((later) => setTimeout(later, EVERY));
    try {
      server.survey = await get("survey");
    } catch (fault) {
      if (!(fault instanceof Lost)) throw fault; // it is asked again
    }
    testIt(server, again);
  }
  followed = false;
  if (server.survey.survey) again();
}
