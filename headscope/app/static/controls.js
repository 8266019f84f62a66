// The form of the view: its radios and its switch, built from the server's choices and bound to the state.
import { referencesOf, vectorsOf } from "./choices.js";
import { closed } from "./compare.js";
import { byId, h } from "./dom.js";
import { formula, NAMES, positionsOpen, sentences } from "./explain.js";
import { hubsOpen } from "./hubs.js";
import { OFFERED } from "./offered.js";
import { initial, keep, kept } from "./state.js";
import { VIEWS } from "./views.js";

const capital = (value) => value[0].toUpperCase() + value.slice(1);

const radio = (name, value, shown) => h("label", {}, h("input", { type: "radio", name, value }), h("span", {}, shown));

/** A choice that is not open is not shown, but where it is the one that is chosen. */
function shut(input, closed) {
  input.disabled = Boolean(closed);
  input.closest("label").hidden = input.disabled && !input.checked;
}

const ROW = 16; // so many layers are buttons; more are a slider with its number

/** One control for every layer: named as its legend, with arrows, Page Up and Down, Home and End. */
function slider(name, length) {
  const told = h("output", {});
  const track = h("input", { type: "range", name, min: 0, max: length - 1, value: 0, "aria-label": capital(name) });
  track.addEventListener("input", () => { told.textContent = track.value; }); // while it is dragged
  return [track, told, h("span", {}, `of 0–${length - 1}`)];
}

let fresh = true; // until the controls are shown first

/** Builds the controls for a model, and calls `change` with each choice as it is made. */
export function bindControls(server, change) {
  const form = byId("controls");
  const numbered = (name, length) => Array.from({ length }, (_, n) => radio(name, n, n));
  const slid = server.layers > ROW;
  byId("layers").className = slid ? "slider" : "segments even";
  byId("layers").append(...(slid ? slider("layer", server.layers) : numbered("layer", server.layers)));
  byId("heads").append(radio("head", "none", "–"), ...numbered("head", server.heads));
  byId("heads").querySelector("input").setAttribute("aria-label", "no head");
  for (const [name, choices] of Object.entries(server.choices)) {
    const shown = choices.map((choice) => choice.value ?? choice).map((value) => radio(name, value, NAMES[name]?.[value] ?? capital(value)));
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
  byId("advanced").firstElementChild.addEventListener("click", () => keep("advanced", !byId("advanced").open));
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
  for (const input of form.querySelectorAll("input")) {
    if (input.type === "radio") input.checked = input.value === String(state[input.name] ?? "none");
    else if (input.type === "checkbox") input.checked = state[input.name];
    else if (input !== document.activeElement || input.type === "range") input.value = state[input.name] ?? "";
  }
  for (const told of form.querySelectorAll(".slider output")) told.textContent = state.layer;
  for (const [name, shown] of Object.entries({ chat: server.chat || state.chat, system: state.chat, special: !state.chat, pair: !state.chat })) {
    (form.elements[name].closest("label") ?? form.elements[name]).hidden = !shown || state.ids !== null;
  }
  const open = positionsOpen(state, server);
  form.elements.position.checked &&= open;
  shut(form.elements.map_at, !open);
  shut(form.elements.perplexity, state.method === "pca");
  byId("other-text").hidden = state.compare !== "text";
  byId("other-model").hidden = state.compare !== "model";
  if (state.other_model) byId("other-model").value = state.other_model;
  const why = closed(state, server);
  for (const input of form.querySelectorAll("[name=compare]")) shut(input, why[input.value]);
  byId("nothing").textContent = why[state.compare] ? `There is nothing to compare: ${why[state.compare]}.` : "";
  const references = referencesOf(state, server);
  for (const input of form.querySelectorAll("[name=reference]")) shut(input, !references.includes(input.value));
  for (const input of form.querySelectorAll("[name=space], [name=metric]")) {
    const closed = server.choices.space.some(({ value, closed: why }) => input.name === "space" && value === input.value && why);
    shut(input, closed || VIEWS[state.view].shut?.[input.name].includes(input.value));
  }
  const vectors = vectorsOf(state, server);
  const vector = vectors.includes(state.vector) ? state.vector : "z";
  for (const input of form.querySelectorAll("[name=vector]")) {
    input.checked = input.value === vector;
    shut(input, !vectors.includes(input.value));
  }
  byId("tour-classroom").setAttribute("aria-pressed", state.classroom);
  const says = sentences(state, server);
  const plain = !state.chat && state.pair === null && state.special && state.ids === null;
  // What would change nothing is not shown.
  const idle = { position: !open, hubs: !hubsOpen(state, server), isolated: !server.alone.streams, reference: !references.length, vector: vectors.length < 2, teach: vector !== "z" };
  const controls = state.view === "survey" && !server.survey.survey ? [] : VIEWS[state.view].controls.filter((name) => !idle[name]);
  const matter = ["view", ...(server.chat || !plain ? ["given"] : []), ...controls, "classroom"];
  for (const part of form.querySelectorAll("[data-control]")) {
    const [sentence, terms] = says[part.dataset.control];
    part.hidden = !matter.includes(part.dataset.control);
    part.querySelector(".says").textContent = sentence;
    part.querySelector("summary").title = sentence;
    part.querySelector(".formula").replaceChildren(formula(terms));
  }
  const start = initial(server.defaults);
  const differs = (part) => !part.hidden && [...part.querySelectorAll("input")].some(({ name }) => state[name] !== start[name]);
  const set = [...byId("advanced").querySelectorAll("[data-control]")].filter(differs).length;
  byId("advanced").firstElementChild.textContent = set ? `Advanced (${set} set)` : "Advanced";
  if (fresh) byId("advanced").open = set > 0 || kept("advanced") === "true";
  fresh = false;
}
