// The reference “isolated” takes minutes to make: how far it is, and a way to stop it.
import { progress, stop } from "./api.js";
import { byId, h } from "./dom.js";
import { count } from "./numbers.js";

const EVERY = 500; // milliseconds

/** A duration in words. */
function rest(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `, about ${Math.max(1, Math.round(seconds))} s left`;
  return `, about ${Math.round(seconds / 60)} min left`;
}

const size = (bytes) => `${count(Math.max(1, Math.round(bytes / 2 ** 20)))} MiB`;

/** Shows how far `told` is until it is ready (true), was stopped or failed (false); `signal` takes it off the page. */
export async function made(told, signal) {
  const place = byId("making");
  const bar = h("progress", { max: told.total, "aria-label": "Tokens read alone" });
  const sentence = h("p", {});
  const button = h("button", { type: "button", class: "quiet" }, "Stop");
  button.addEventListener("click", () => {
    button.disabled = true;
    stop("isolated").catch(() => { button.disabled = false; });
  });
  signal.addEventListener("abort", () => { place.hidden = true; }, { once: true });
  const title = h("p", {}, "The model reads every token of the vocabulary alone, once; the values are kept on the server’s disk.");
  place.replaceChildren(title, bar, sentence, button);
  place.hidden = false;
  byId("status").textContent = "Reading every token alone …"; // said aloud once; the numbers are not
  while (told.state === "working") {
    bar.value = told.done;
    sentence.textContent =
      `${count(told.done)} of ${count(told.total)} tokens, ${size(told.bytes)} in all${rest(told.seconds_left)}.`;
    await new Promise((later) => setTimeout(later, EVERY));
    if (signal.aborted) return false;
    told = await progress("isolated", signal);
  }
  place.hidden = told.state === "ready";
  if (told.state === "ready") return true;
  const why = told.problem ? told.problem[0].toUpperCase() + told.problem.slice(1) : "Stopped; what was read is kept.";
  const again = h("button", { type: "button", class: "quiet" }, "Go on");
  const asked = new Promise((go) => {
    again.addEventListener("click", () => { byId("view").focus(); go(true); }, { once: true });
    signal.addEventListener("abort", () => go(false), { once: true });
  });
  byId("status").textContent = "";
  const here = place.contains(document.activeElement);
  place.replaceChildren(h("p", {}, `${why} ${count(told.done)} of ${count(told.total)} tokens are done.`), again);
  if (here) again.focus();
  return asked;
}
