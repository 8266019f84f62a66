// The guided visit: what the server measured on this text, a step a sentence, each beside the view that it speaks of.
import { post, said } from "./api.js";
import { byId } from "./dom.js";

/** Binds the visit; `given` tells which text it is of, and `go` shows a view. What it returns begins it anew, if it is open, on another text. */
export function bindTour(given, go) {
  const [tour, opener, back, next] = ["tour", "visit", "tour-back", "tour-next"].map(byId);
  let steps, at, open = new AbortController();
  const tell = (title, says, far = "") => ["title", "says", "at"].forEach((one, n) => { byId(`tour-${one}`).textContent = [title, says, far][n]; });
  const show = (to) => {
    at = to;
    tell(steps[at].title, steps[at].says, `${at + 1} of ${steps.length}`);
    [back.hidden, next.hidden] = [at === 0, false];
    next.textContent = at === steps.length - 1 ? "Done" : "Next";
    go(steps[at].view);
  };
  const shown = (on) => {
    open.abort();
    tour.hidden = !on;
    opener.setAttribute("aria-expanded", String(on));
    (on ? tour : opener).focus();
  };
  const begin = async () => {
    open.abort();
    const { signal } = (open = new AbortController());
    [back.hidden, next.hidden] = [true, true];
    tell("A first visit", "Measuring this text …");
    const answer = await post("visit", given(), signal).catch((fault) => ({ says: said(fault) }));
    if (signal.aborted) return;
    if (answer.says) return tell("A first visit", answer.says);
    steps = answer.steps;
    show(0);
  };
  opener.addEventListener("click", () => {
    shown(tour.hidden);
    if (!tour.hidden) begin();
  });
  addEventListener("popstate", () => tour.hidden || shown(false)); // it speaks of what is left
  back.addEventListener("click", () => { show(at - 1); next.focus(); });
  next.addEventListener("click", () => (at === steps.length - 1 ? shown(false) : show(at + 1)));
  byId("tour-close").addEventListener("click", () => shown(false));
  byId("tour-classroom").addEventListener("click", () => byId("controls").elements.classroom.click());
  addEventListener("keydown", ({ key, target }) => {
    if (key === "Escape" && !tour.hidden && target.id !== "text" && !document.querySelector(":popover-open, dialog[open]")) shown(false);
  });
  return () => tour.hidden || begin();
}
