// The form of the view: its radios and its switch, built from the server's choices and bound to the state.
import { referencesOf, vectorsOf } from "./choices.js";
import { closed } from "./compare.js";
import { byId, h } from "./dom.js";
import { formula, NAMES, positionsOpen, sentences } from "./explain.js";
import { hubsClosed } from "./hubs.js";
import { VIEWS } from "./views.js";

const capital = (value) => value[0].toUpperCase() + value.slice(1);

const radio = (name, value, shown, shut = false) =>
  h("label", {}, h("input", { type: "radio", name, value, disabled: shut }), h("span", {}, shown));

/** Builds the controls for a model, and calls `change` with each choice as it is made. */
export function bindControls(server, change) {
  const form = byId("controls");
  byId("layers").append(...Array.from({ length: server.layers }, (_, n) => radio("layer", n, n)));
  for (const [name, choices] of Object.entries(server.choices)) {
    const shown = choices.map((choice) => {
      const { value, closed: shut } = choice.value ? choice : { value: choice };
      return radio(name, value, NAMES[name]?.[value] ?? capital(value), Boolean(shut));
    });
    form.querySelector(`[data-control=${name}] .segments`).append(...shown);
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    if (target.type === "checkbox") change({ [target.name]: target.checked });
    else change({ [target.name]: target.name === "layer" ? Number(target.value) : target.value });
  });
}

/** Sets every control, shows those that matter to the view, and says what each choice means. */
export function showControls(state, server) {
  const form = byId("controls");
  for (const input of form.querySelectorAll("input[type=radio]")) input.checked = input.value === String(state[input.name]);
  const open = positionsOpen(state, server);
  form.elements.position.disabled = !open;
  form.elements.position.checked = state.position && open;
  const shut = Boolean(hubsClosed(state, server));
  form.elements.hubs.disabled = shut;
  form.elements.hubs.checked = state.hubs && !shut;
  for (const [choice, why] of Object.entries(closed(state, server))) {
    form.querySelector(`[name=compare][value=${choice}]`).disabled = Boolean(why);
  }
  const references = referencesOf(state, server);
  for (const input of form.querySelectorAll("[name=reference]")) input.disabled = !references.includes(input.value);
  const vectors = vectorsOf(state, server);
  for (const input of form.querySelectorAll("[name=vector]")) {
    input.disabled = !vectors.includes(input.value);
    input.checked = input.value === (vectors.includes(state.vector) ? state.vector : "z");
  }
  const says = sentences(state, server);
  const matter = ["view", ...VIEWS[state.view].controls];
  for (const part of form.querySelectorAll("[data-control]")) {
    const [sentence, terms] = says[part.dataset.control];
    part.hidden = !matter.includes(part.dataset.control);
    part.querySelector(".says").textContent = sentence;
    part.querySelector(".formula").replaceChildren(formula(terms));
  }
}
