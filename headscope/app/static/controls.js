// The form of the view: its radios and its switches, which the server makes, bound to the state.
import { closed, hubsOpen, spaceOf } from "./choices.js";
import { byId } from "./dom.js";
import { formula, meant, positionsOpen } from "./explain.js";
import { WORDS } from "./first.js";
import { keep, kept } from "./state.js";
import { VIEWS } from "./views.js";

/** A choice that is not open is not shown, but where it is the one that is chosen. */
function shut(input, closed) {
  input.disabled = Boolean(closed);
  input.closest("label").hidden = input.disabled && !input.checked;
}

let fresh = true; // until the controls are shown first

/** Binds the controls, and calls `change` with each choice as it is made. */
export function bindControls(server, change) {
  const form = byId("controls");
  form.elements.size.max = server.map;
  form.elements.map_at.max = (server.positions ?? 1e6) - 1;
  form.addEventListener("input", ({ target }) => { if (target.type === "range") target.nextSibling.textContent = target.value; }); // while it is dragged
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
  fold.addEventListener("click", () => { form.dataset.side = byId("side").checkVisibility() ? "hidden" : "shown"; shown(); });
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
  const { references, vectors } = spaceOf(state, server);
  if (!vectors.includes(state.vector)) form.elements.vector.value = "z";
  for (const [name, open] of Object.entries({ reference: references, vector: vectors })) {
    for (const input of form.querySelectorAll(`[name=${name}]`)) shut(input, !open.includes(input.value));
  }
  for (const input of form.querySelectorAll("[name=space], [name=metric]")) {
    const closed = server.choices.space.some(({ value, closed: why }) => input.name === "space" && value === input.value && why);
    shut(input, closed || VIEWS[state.view].shut?.[input.name].includes(input.value));
  }
  byId("tour-classroom").setAttribute("aria-pressed", state.classroom);
  const plain = !state.chat && state.pair === null && state.special && state.ids === null;
  // What would change nothing is not shown.
  const idle = { position: !open, hubs: !hubsOpen(state, server), isolated: !server.alone.streams, reference: !references.length, vector: vectors.length < 2, teach: form.elements.vector.value !== "z" };
  const controls = state.view === "survey" && !server.survey.survey ? [] : WORDS.controls[state.view].filter((name) => !idle[name]);
  const matter = ["view", ...(server.chat || !plain ? ["given"] : []), ...controls, "classroom"];
  for (const part of form.querySelectorAll("[data-control]")) {
    const [sentence, terms] = meant(part.dataset.control, state, server);
    part.hidden = !matter.includes(part.dataset.control);
    if (part.told === (part.told = sentence + terms)) continue; // what stands there is not laid out anew
    part.querySelector(".says").textContent = sentence;
    part.querySelector("summary").title = sentence;
    part.querySelector(".formula").replaceChildren(formula(terms));
  }
  const differs = (part) => !part.hidden && [...part.querySelectorAll("input")].some(({ name }) => state[name] !== server.defaults[name]);
  const set = [...byId("advanced").querySelectorAll("[data-control]")].filter(differs).length;
  byId("advanced").firstElementChild.textContent = set ? `Advanced (${set} set)` : "Advanced";
  if (fresh) byId("advanced").open = set > 0 || kept("advanced") === "true";
  fresh = false;
}
