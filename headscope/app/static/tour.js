// The first visit: five steps, each a view of the page and what to see in it.
import { byId } from "./dom.js";

/** Binds the steps; `go` shows the view of an address. */
export function bindTour(server, go) {
  const steps = [...byId("tour").querySelectorAll("li")];
  let at = 0;
  const show = (to) => {
    at = to;
    steps.forEach((step, n) => { step.hidden = n !== at; });
    byId("tour-at").textContent = `${at + 1} of ${steps.length}`;
    byId("tour-back").disabled = at === 0;
    byId("tour-next").textContent = at === steps.length - 1 ? "Done" : "Next";
    go(steps[at].dataset.view.replace("LAST", server.layers - 1));
  };
  byId("tour").addEventListener("toggle", ({ newState }) => { if (newState === "open") show(0); });
  byId("tour-back").addEventListener("click", () => show(at - 1));
  byId("tour-next").addEventListener("click", () => (at === steps.length - 1 ? byId("tour").hidePopover() : show(at + 1)));
}
