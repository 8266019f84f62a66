// Work that takes its time (the reference “isolated”, a map, a test): how far it is, and a way to stop it.
import { get, leave, post, said } from "./api.js";
import { button, byId, h } from "./dom.js";

/** Whether work has not come to its end. */
const goes = (work) => ["waiting", "working"].includes(work?.state);

/** How far work is, as a bar, and on one that is there. */
const move = (far, { total, done }) => Object.assign(far, total && { max: total, value: done });
const bar = (work) => move(h("progress", { "aria-label": work.title }), work);

export let released = Promise.resolve(); // once no pointer is pressed: what is pressed stays where it is until it is let go
addEventListener("pointerdown", () => {
  released = new Promise((done) => {
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(done), { once: true, capture: true });
  });
}, { capture: true });

/** Says something above the view, with a button that does something about it; what is there stays in sight if it stands `beside`. */
export function tell(says, can, act, beside = false) {
  byId("making").replaceChildren(h("p", {}, says), button(can, act));
  byId("making").classList.toggle("beside", beside);
  byId("making").hidden = false;
}

/** Shows how far the work of `answer` is until it is ready (true), was stopped or failed (false); `signal` takes it off the page. */
export async function made(answer, signal) {
  let told = answer.map ?? answer.isolated;
  const path = answer.map ? `map/${told.key}` : `isolated?what=${told.what}`;
  const [place, far, sentence] = [byId("making"), bar(told), h("p", {})];
  const waits = new AbortController(); // until the work has ended, or another view is asked for, or the page is left
  const go = () => leave(path).catch(() => { /* it ends by itself */ });
  tell(told.title, "Stop", ({ target }) => {
    target.disabled = true;
    leave(path).then((left) => { told = left; waits.abort(); }, () => { target.disabled = false; });
  });
  place.lastChild.before(far, sentence);
  signal.addEventListener("abort", go, { signal: waits.signal });
  addEventListener("pagehide", go, { signal: waits.signal });
  signal.addEventListener("abort", () => { place.hidden = true; waits.abort(); }, { once: true });
  byId("status").textContent = told.title; // said aloud once; the numbers are not
  while (!waits.signal.aborted && goes(told)) {
    move(far, told);
    sentence.textContent = told.says;
    await new Promise((later) => setTimeout(later, 500));
    if (signal.aborted) return false;
    told = await get(path, signal);
  }
  waits.abort();
  byId("status").textContent = "";
  if ((place.hidden = told.state === "ready")) return true;
  const here = place.contains(document.activeElement);
  return new Promise((asked) => {
    tell(told.says, "Go on", () => { byId("view").focus(); asked(true); });
    signal.addEventListener("abort", () => asked(false), { once: true });
    if (here) place.lastChild.focus();
  });
}

const untold = (now) => (fault) => ({ ...now, testing: { ...now.testing, says: said(fault) } });
let followed = false; // whether a test is asked after, whatever view is looked at
let look = () => {}; // at a test that another page may have stopped, gone on with or brought to its end
addEventListener("focus", () => followed || look());

/** Fills the place for the test of the server's own model in the view, if there is one; `again` shows the view anew once there is a survey. */
export function testIt(server, again) {
  const [place, { survey, testing }] = [byId("test-it"), server.survey];
  const going = goes(testing);
  if (going && !followed) follow(server, again);
  if (survey) look = () => {};
  if (!place || survey || !testing) return;
  look = async (ask = get, what = "") => {
    server.survey = await ask(`survey${what}`).catch(untold(server.survey));
    if (server.survey.survey) again(); // another page had it made
    testIt(server, again);
  };
  const act = ({ detail }) => detail > 1 || look(goes(server.survey.testing) ? leave : post, "/test"); // the second of a double click would stop what the first began
  if (!place.firstChild) place.append(bar(testing), button("", act), h("p", { class: "says" }));
  const [far, press, says] = place.children; // they stay: what is replaced every second takes the focus, and what is pressed, with it
  move(far, testing).hidden = !going;
  Object.assign(press, { textContent: testing.can, className: going ? "quiet" : "primary", hidden: !testing.can });
  says.textContent = testing.says;
}

async function follow(server, again) {
  followed = true;
  while (goes(server.survey.testing)) {
    await new Promise((later) => setTimeout(later, 1000));
    server.survey = await get("survey").catch(untold(server.survey)); // it is asked again
    testIt(server, again);
  }
  followed = false;
  if (server.survey.survey) again();
}
