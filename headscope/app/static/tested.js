// The button that tests the server's own model on sixty texts; how far that is, whatever view is looked at.
import { get, leave, Lost, post, said } from "./api.js";
import { h } from "./dom.js";
import { rest } from "./isolated.js";

const going = ({ testing }) => ["waiting", "working"].includes(testing?.state);
let followed = false;

/** Fills the place for it in the view that is shown, if there is one; `again` shows the view anew once there is a survey. */
export function testIt(server, again) {
  const place = [...document.querySelectorAll("#test-it")].find((one) => one.checkVisibility());
  const { survey, testing } = server.survey;
  if (going(server.survey) && !followed) follow(server, again);
  if (!place || survey || !testing) return;
  const told = testing.closed ?? testing.problem ?? (testing.state === "stopped" ? "Stopped; what was measured is kept." : "Whether it is more than any mixing would give, 60 texts and five untrained twins tell. It takes minutes; you can go on reading meanwhile.");
  const focused = place.contains(document.activeElement);
  const start = () => [testing.closed ? "" : button(testing.state === "stopped" ? "Go on" : "Test this model on 60 texts", () => post("survey/test"), server, again), h("p", { class: "says" }, told)];
  const bar = h("progress", { "aria-label": "The test on 60 texts", ...(testing.total ? { max: testing.total, value: testing.done } : {}) });
  const share = testing.total ? ` ${Math.floor((100 * testing.done) / testing.total)} %${rest(testing.seconds_left)}.` : "";
  const work = () => [bar, h("p", { class: "says" }, `Testing: ${testing.step ?? "waiting for its turn"} …${share}`), button("Stop", () => leave("survey/test"), server, again)];
  place.replaceChildren(...(going(server.survey) ? work() : start()));
  if (focused) place.querySelector("button")?.focus(); // it is still the same
}

function button(name, ask, server, again) {
  const made = h("button", { type: "button", class: name === "Stop" ? "quiet" : "primary" }, name);
  made.addEventListener("click", async () => {
    made.disabled = true;
    server.survey = await ask().catch((fault) => ({ ...server.survey, testing: { ...server.survey.testing, problem: said(fault) } }));
    testIt(server, again);
  });
  return made;
}

async function follow(server, again) {
  followed = true;
  while (going(server.survey)) {
    await new Promise((later) => setTimeout(later, 1000));
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
