// Work that takes its time (the reference “isolated”, a map): how far it is, and a way to stop it.
import { get, leave } from "./api.js";
import { byId, h } from "./dom.js";
import { count, size } from "./numbers.js";

const EVERY = 500; // milliseconds

/** A duration in words. */
export function rest(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `, about ${Math.max(1, Math.round(seconds))} s left`;
  return `, about ${Math.round(seconds / 60)} min left`;
}

const WORKS = {
  isolated: {
    path: ({ what }) => `isolated?what=${what}`,
    title: "The model reads every token of the vocabulary alone, once; what comes of it is kept on the server’s disk.",
    status: "Reading every token alone …", // said aloud once; the numbers are not
    units: "Tokens read alone",
    far: ({ done, total, bytes }) => `${count(done)} of ${count(total)} tokens, ${size(bytes)} in all`,
    ended: ({ done, total }) => `Stopped; what was read is kept. ${count(done)} of ${count(total)} tokens are done.`,
  },
  map: {
    path: ({ key }) => `map/${key}`,
    title: "t-SNE lays the map out, once; it is kept on the server’s disk.",
    status: "Laying out the map …",
    units: "Iterations of t-SNE",
    far: ({ done, total }) => (total ? `${count(done)} of ${count(total)} iterations` : "Waiting for its turn"),
    ended: () => "Stopped; the map is not there.",
  },
};

/** Shows how far the work of `answer` is until it is ready (true), was stopped or failed (false); `signal` takes it off the page. */
export async function made(answer, signal) {
  const kind = answer.map ? "map" : "isolated";
  const work = WORKS[kind];
  let told = answer[kind];
  const path = work.path(told);
  const place = byId("making");
  const bar = h("progress", { "aria-label": work.units });
  const sentence = h("p", {});
  const button = h("button", { type: "button", class: "quiet" }, "Stop");
  const waits = new AbortController(); // until the work has ended, or another view is asked for, or the page is left
  const go = () => leave(path).catch(() => { /* it ends by itself */ });
  button.addEventListener("click", () => {
    button.disabled = true;
    leave(path).then(() => waits.abort(), () => { button.disabled = false; });
  });
  signal.addEventListener("abort", go, { signal: waits.signal });
  addEventListener("pagehide", go, { signal: waits.signal });
  signal.addEventListener("abort", () => { place.hidden = true; waits.abort(); }, { once: true });
  place.classList.remove("beside");
  place.replaceChildren(h("p", {}, work.title), bar, sentence, button);
  place.hidden = false;
  byId("status").textContent = work.status;
  while (!waits.signal.aborted && ["waiting", "working"].includes(told.state)) {
    if (told.total) Object.assign(bar, { max: told.total, value: told.done });
    sentence.textContent = `${work.far(told)}${rest(told.seconds_left)}.`;
    await new Promise((later) => setTimeout(later, EVERY));
    if (signal.aborted) return false;
    told = await get(path, signal);
  }
  waits.abort();
  place.hidden = told.state === "ready";
  if (told.state === "ready") return true;
  const why = told.problem ? told.problem[0].toUpperCase() + told.problem.slice(1) : work.ended(told);
  const again = h("button", { type: "button", class: "quiet" }, "Go on");
  const asked = new Promise((go) => {
    again.addEventListener("click", () => { byId("view").focus(); go(true); }, { once: true });
    signal.addEventListener("abort", () => go(false), { once: true });
  });
  byId("status").textContent = "";
  const here = place.contains(document.activeElement);
  place.replaceChildren(h("p", {}, why), again);
  if (here) again.focus();
  return asked;
}
