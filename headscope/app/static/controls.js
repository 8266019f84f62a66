// The form of the view: its radios and its switch, built from the server's choices and bound to the state.
import { referencesOf, vectorsOf } from "./choices.js";
import { closed } from "./compare.js";
import { byId, h } from "./dom.js";
import { formula, NAMES, positionsOpen, sentences } from "./explain.js";
import { hubsClosed } from "./hubs.js";
import { OFFERED } from "./offered.js";
import { VIEWS } from "./views.js";

const capital = (value) => value[0].toUpperCase() + value.slice(1);

const radio = (name, value, shown, shut = false) =>
  h("label", {}, h("input", { type: "radio", name, value, disabled: shut }), h("span", {}, shown));

/** Builds the controls for a model, and calls `change` with each choice as it is made. */
export function bindControls(server, change) {
  const form = byId("controls");
  const numbered = (name, length) => Array.from({ length }, (_, n) => radio(name, n, n));
  byId("layers").append(...numbered("layer", server.layers));
  byId("heads").append(radio("head", "none", "–"), ...numbered("head", server.heads));
  byId("heads").querySelector("input").setAttribute("aria-label", "no head");
  for (const [name, choices] of Object.entries(server.choices)) {
    const shown = choices.map((choice) => {
      const { value, closed: shut } = choice.value ? choice : { value: choice };
      return radio(name, value, NAMES[name]?.[value] ?? capital(value), Boolean(shut));
    });
    form.querySelector(`[data-control=${name}] .segments`).append(...shown);
  }
  form.querySelector("[data-control=view] .segments").append(...Object.entries(OFFERED).map(([name, { title }]) => radio("view", name, title)));
  form.elements.size.max = server.map;
  form.elements.map_at.max = (server.positions ?? 1e6) - 1;
  const others = server.open.filter((name) => name !== (server.model ?? server.name));
  byId("other-model").append(...others.map((name) => h("option", {}, name)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    const { name, value } = target;
    if (target.type === "number") {
      if (target.reportValidity()) change({ [name]: target.value === "" ? null : Number(target.value) });
    } else if (["system", "pair"].includes(name)) change({ [name]: value.trim() || null });
    else if (target.type === "checkbox") change({ [name]: target.checked });
    else if (value === "model" && name === "compare") change({ compare: value, other_model: byId("other-model").value });
    else if (name === "head") change({ head: value === "none" ? null : Number(value) });
    else change({ [name]: name === "layer" ? Number(value) : value });
  });
  // The column beside the tables; on a narrow page it is folded away until it is asked for.
  const fold = byId("fold");
  const shown = () => fold.setAttribute("aria-expanded", String(byId("side").checkVisibility()));
  fold.addEventListener("click", () => {
    form.dataset.side = byId("side").checkVisibility() ? "hidden" : "shown";
    shown();
  });
  matchMedia("(max-width: 900px)").addEventListener("change", () => { delete form.dataset.side; shown(); });
  shown();
}

/** Sets every control, shows those that matter to the view, and says what each choice means. */
export function showControls(state, server) {
  const form = byId("controls");
  for (const input of form.querySelectorAll("input[type=radio]")) input.checked = input.value === String(state[input.name] ?? "none");
  const open = positionsOpen(state, server);
  form.elements.position.disabled = !open;
  form.elements.position.checked = state.position && open;
  const shut = Boolean(hubsClosed(state, server));
  form.elements.hubs.disabled = shut;
  form.elements.hubs.checked = state.hubs && !shut;
  form.elements.teach.checked = state.teach;
  form.elements.chat.checked = state.chat;
  form.elements.special.checked = state.special;
  for (const [name, shown] of Object.entries({ chat: server.chat || state.chat, system: state.chat, special: !state.chat, pair: !state.chat })) {
    const input = form.elements[name];
    (input.closest("label") ?? input).hidden = !shown || state.ids !== null;
    if (input.type === "text" && document.activeElement !== input) input.value = state[name] ?? "";
  }
  form.elements.isolated.checked = state.isolated;
  form.elements.isolated.disabled = !server.alone.streams;
  for (const input of form.querySelectorAll("[type=number]")) if (input !== document.activeElement) input.value = state[input.name] ?? "";
  form.elements.map_at.disabled = !open;
  form.elements.perplexity.disabled = state.method === "pca";
  byId("other-text").hidden = state.compare !== "text";
  byId("other-model").hidden = state.compare !== "model";
  if (document.activeElement !== byId("other-text")) byId("other-text").value = state.other_text ?? "";
  if (state.other_model) byId("other-model").value = state.other_model;
  for (const [choice, why] of Object.entries(closed(state, server))) {
    form.querySelector(`[name=compare][value=${choice}]`).disabled = Boolean(why);
  }
  const references = referencesOf(state, server);
  for (const input of form.querySelectorAll("[name=reference]")) input.disabled = !references.includes(input.value);
  for (const input of form.querySelectorAll("[name=space], [name=metric]")) {
    const closed = server.choices.space.some(({ value, closed: why }) => input.name === "space" && value === input.value && why);
    input.disabled = closed || Boolean(VIEWS[state.view].shut?.[input.name].includes(input.value));
  }
  const vectors = vectorsOf(state, server);
  for (const input of form.querySelectorAll("[name=vector]")) {
    input.disabled = !vectors.includes(input.value);
    input.checked = input.value === (vectors.includes(state.vector) ? state.vector : "z");
  }
  const says = sentences(state, server);
  const plain = !state.chat && state.pair === null && state.special && state.ids === null;
  const matter = ["view", ...(server.chat || !plain ? ["given"] : []), ...VIEWS[state.view].controls];
  for (const part of form.querySelectorAll("[data-control]")) {
    const [sentence, terms] = says[part.dataset.control];
    part.hidden = !matter.includes(part.dataset.control);
    part.querySelector(".says").textContent = sentence;
    part.querySelector("summary").title = sentence;
    part.querySelector(".formula").replaceChildren(formula(terms));
  }
}
