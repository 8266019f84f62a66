// The form of the view: its radios and its switch, bound to the state.
import { closed } from "./compare.js";
import { byId, h } from "./dom.js";
import { formula, positionsOpen, sentences } from "./explain.js";

/** Builds the controls for a model, and calls `change` with each choice as it is made. */
export function bindControls(server, change) {
  const form = byId("controls");
  const layers = Array.from({ length: server.layers }, (_, n) =>
    h("label", {}, h("input", { type: "radio", name: "layer", value: n }), h("span", {}, n)),
  );
  byId("layers").append(...layers);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    if (target.name === "position") change({ position: target.checked });
    else change({ [target.name]: target.name === "layer" ? Number(target.value) : target.value });
  });
}

/** Sets every control, and says what each choice means. */
export function showControls(state, server) {
  const form = byId("controls");
  for (const input of form.querySelectorAll("input[type=radio]")) input.checked = input.value === String(state[input.name]);
  const open = positionsOpen(state, server);
  form.elements.position.disabled = !open;
  form.elements.position.checked = state.position && open;
  for (const [choice, why] of Object.entries(closed(state, server))) {
    form.querySelector(`[name=compare][value=${choice}]`).disabled = Boolean(why);
  }
  const says = sentences(state, server);
  for (const part of form.querySelectorAll("[data-control]")) {
    const [sentence, terms] = says[part.dataset.control];
    part.querySelector(".says").textContent = sentence;
    part.querySelector(".formula").replaceChildren(formula(terms));
  }
}
