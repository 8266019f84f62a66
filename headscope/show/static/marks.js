// A token under the pointer, or with the focus, is marked wherever it stands, and told in full in the readout.
import { h, label } from "./dom.js";

/** Whether two places show the same token: the same position where both have one, else the same vocabulary id. */
const same = (a, b) => a.id === b.id && (!a.position || !b.position || a.position === b.position);

/** Marks tokens inside `place`; `readout` says what is marked. */
export function markTokens(place, readout) {
  let marked = [];

  function mark(target) {
    const token = target.closest?.("[data-id]");
    for (const element of marked) element.classList.remove("marked");
    const alike = token ? [...place.querySelectorAll(`[data-id="${token.dataset.id}"]`)] : [];
    marked = alike.filter((element) => same(element.dataset, token.dataset));
    const { head } = target.closest?.("[data-head], [data-choose]")?.dataset ?? {};
    if (head) marked.push(...place.querySelectorAll(`[data-choose="${head}"]`));
    for (const element of marked) element.classList.add("marked");
    readout.replaceChildren(...(token ? tell(token.dataset, marked) : []));
  }

  place.addEventListener("pointerover", (event) => mark(event.target));
  place.addEventListener("pointerleave", () => mark(document.activeElement));
  place.addEventListener("focusin", (event) => mark(event.target));
  place.addEventListener("focusout", () => mark(place));
}

/** Marks what is selected wherever a view shows it: the head's column, the layer and head's cell. */
export function markChosen(place, { layer, head }) {
  for (const element of place.querySelectorAll(".chosen")) {
    element.classList.remove("chosen");
    element.ariaCurrent = null;
  }
  for (const element of place.querySelectorAll(`:is(td, button)[data-head="${head}"], [data-choose="${head}"]`)) {
    const at = element.dataset.layer;
    if (at !== undefined && Number(at) !== layer) continue;
    element.classList.add("chosen");
    if (at && element.matches("button")) element.ariaCurrent = "true";
  }
}

function tell(token, marked) {
  const cells = marked.filter((element) => element.matches("#neighbors td[data-id]"));
  const heads = new Set(cells.map((element) => element.dataset.head)).size; // a comparison shows each head twice
  const where = token.where ?? `position ${token.position}`;
  const listed = document.querySelector("#neighbors td") ? `; among the nearest of ${heads || "no"} ${heads > 1 ? "heads" : "head"}` : "";
  return [h("strong", {}, label(token.label)), ` id ${token.id}: ${where}${listed}`];
}
