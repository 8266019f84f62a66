// The page: a view (state.js) becomes a question (api.js), and its answer is painted (tokens.js, views.js).
import { Lost, post, Refused, returned } from "./api.js";
import { bindControls, showControls } from "./controls.js";
import { byId, h } from "./dom.js";
import { made } from "./isolated.js";
import { alongTokens, onCell, throughCells } from "./keyboard.js";
import { markTokens } from "./marks.js";
import { count, tiny } from "./numbers.js";
import { fromAddress, initial, modelOf, toAddress } from "./state.js";
import { bindSurvey } from "./survey.js";
import { buttons, selection } from "./tokens.js";
import { VIEWS } from "./views.js";
import { whyOf } from "./why.js";

const first = JSON.parse(byId("first").textContent);
const server = first.server;
const start = initial(server.defaults);
let state = fromAddress(location.search, start, server);
let tokens = null; // of the text that was read last
let read = null; // which text and mask that was
let current = new AbortController();
let slow = 0; // the timer that says so

const readKey = ({ text, mask }) => JSON.stringify([text, mask]);

/** Shows `state`: the controls at once, then what the server answers; a later call overtakes an earlier one. */
async function show() {
  current.abort();
  const { signal } = (current = new AbortController());
  paintChoices();
  clearTimeout(slow);
  slow = setTimeout(() => busy(true), 120);
  try {
    if (readKey(state) !== read) {
      const answer = await post("read", { text: state.text, mask: state.mask }, signal);
      state.token = Math.min(state.token, answer.tokens.length - 1);
      paintTokens(answer);
    }
    const asked = VIEWS[state.view].questions(state, server, tokens);
    const answers = await Promise.all(asked.map(([route, question]) => post(route, question, signal)));
    paint(answers);
    say("");
    const later = VIEWS[state.view].later?.(state, server);
    if (later) {
      settled();
      byId("status").textContent = "Asking other texts …";
      paint(answers, await post(...later, signal));
    }
  } catch (fault) {
    if (signal.aborted) return;
    await recover(fault, signal);
  } finally {
    if (!signal.aborted) settled();
  }
}

/** Says what went wrong; a server that is away or full is asked again. */
async function recover(fault, signal) {
  if (fault instanceof Lost) {
    say("The server does not answer. It is asked again every second; the page goes on when it is back.");
    await returned(signal);
  } else if (fault instanceof Refused && fault.status === 503) {
    say(`${fault.message} It is asked again in a second.`);
    await new Promise((later) => setTimeout(later, 1000));
  } else if (fault instanceof Refused && fault.answer.isolated) {
    settled();
    say("");
    if (!(await made(fault.answer.isolated, signal))) return;
  } else if (fault instanceof Refused) {
    return say(fault.message);
  } else {
    throw fault;
  }
  if (!signal.aborted) show();
}

/** Takes a choice: into the state, into the address, onto the page. */
function change(choice) {
  const next = { ...state, why: null, ...choice };
  if (toAddress(next, start, server.name) === toAddress(state, start, server.name)) return;
  state = next;
  // A key held down would fill the history.
  const replace = rapid(Object.keys(choice)[0]);
  history[replace ? "replaceState" : "pushState"](null, "", toAddress(state, start, server.name));
  show();
}

let byKey = false;
let last = { what: null, when: 0 };
function rapid(what) {
  const now = performance.now();
  const again = byKey && last.what === what && now - last.when < 400;
  last = { what, when: now };
  return again;
}

function say(sentence) {
  const problem = byId("problem");
  const text = sentence && sentence[0].toUpperCase() + sentence.slice(1);
  if (problem.textContent !== text) problem.textContent = text;
  problem.hidden = !text;
}

function settled() {
  clearTimeout(slow);
  busy(false);
}

function busy(on) {
  byId("view").toggleAttribute("data-busy", on);
  const work = {
    heads: `Comparing ${server.heads} heads with ${count(server.vocab_size)} tokens …`,
    atlas: `Comparing ${server.layers} layers of ${server.heads} heads with ${count(server.vocab_size)} tokens …`,
    attention: "Weighing the attention …",
  };
  byId("status").textContent = on ? work[state.view] : "";
}

function paintChoices() {
  showControls(state, server);
  if (byId("text").value !== state.text && document.activeElement !== byId("text")) byId("text").value = state.text;
  for (const button of byId("tokens").children) {
    const pressed = Number(button.dataset.position) === state.token;
    button.setAttribute("aria-pressed", String(pressed));
    button.tabIndex = pressed ? 0 : -1;
  }
  if (tokens?.[state.token]) byId("selected").replaceChildren(...selection(tokens[state.token]));
}

function paintTokens(answer) {
  read = readKey(answer);
  tokens = answer.tokens;
  const group = byId("tokens");
  group.replaceChildren(...buttons(tokens, state.token));
  group.scrollTop = (group.children[state.token]?.offsetTop ?? 0) - group.clientHeight / 2;
  paintChoices();
}

function paint(answers, more) {
  const { title, name, notes, figures, steps } = VIEWS[state.view].paint(answers, state, server, tokens, more);
  byId("title").replaceChildren(...title);
  byId("notes").replaceChildren(...notes.map(([lead, note]) => h("p", {}, h("strong", {}, lead), note)));
  for (const place of document.querySelectorAll("#view .figure")) place.replaceChildren(...(figures[place.id] ?? []));
  byId("steps").replaceChildren(steps);
  performance.mark("tables");
  document.title = `${name} · headscope`;
}

function paintModel() {
  const asked = modelOf(location.search);
  const size = `${server.layers} layers × ${server.heads} heads of ${server.d_head}, ${count(server.vocab_size)} tokens`;
  const meaning = "the largest relative error of the captured outputs against the model itself, on a probe";
  byId("model").replaceChildren(
    h("p", {}, h("strong", {}, server.name), ` ${size}`),
    h("p", {}, `${server.why}; `, h("span", { class: "whole", title: meaning }, `capture error ${tiny(server.capture_error)}`)),
  );
  if (asked && asked !== server.name) {
    const said = `This link was made with ${asked}; here it is answered by ${server.name}.`;
    byId("model").append(h("p", { class: "other" }, said));
  }
}

byId("text").value = state.text;
byId("text").maxLength = server.characters + 1;
byId("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  change({ text: byId("text").value });
});
byId("tokens").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button) change({ token: Number(button.dataset.position) });
});
alongTokens(byId("tokens"), (button) => change({ token: Number(button.dataset.position) }));
byId("view").addEventListener("click", ({ target }) => {
  const { choose, layer, head, reference } = target.closest("button")?.dataset ?? {};
  if (choose) change({ head: Number(choose) === state.head ? null : Number(choose) });
  if (layer) change({ view: "heads", layer: Number(layer), head: Number(head), reference: reference ?? state.reference });
});
throughCells(byId("view"));
onCell(byId("neighbors"), (cell) => change({ why: whyOf(cell) === state.why ? null : whyOf(cell) }));
markTokens(document.querySelector("main"), byId("readout"));
bindControls(server, change);
bindSurvey(server, show);
addEventListener("keydown", () => { byKey = true; }, true);
addEventListener("pointerdown", () => { byKey = false; }, true);
addEventListener("popstate", () => {
  state = fromAddress(location.search, start, server);
  byId("text").value = state.text;
  show();
});

paintModel();
if (first.answer) paintTokens(first.answer);
// What the page was sent with is the answer to one question.
const asked = VIEWS[state.view].questions(state, server, tokens ?? []);
const sent = first.answer && asked.length === 1 && asked[0][0] === "nearest";
if (sent) paint([first.answer]);
if (!sent || VIEWS[state.view].later?.(state, server)) show();
document.documentElement.classList.remove("undrawn");
