// The page: a view (state.js) becomes a question (api.js), and its answer is painted (tokens.js, views.js).
import { askOf, begin, lines, Lost, post, Refused, returned, said, standing } from "./api.js";
import { showBasis } from "./atlas.js";
import { question, read as given, spaceOf } from "./choices.js";
import { bindClassroom } from "./classroom.js";
import { bindControls, showControls } from "./controls.js";
import { byId, fill, h, parsed } from "./dom.js";
import { answer as sent, server, WORDS } from "./first.js";
import { whyOf } from "./heads.js";
import { alongTokens, focus, onCell, throughCells } from "./keyboard.js";
import { made, released, tell, testIt } from "./making.js";
import { markChosen, markTokens } from "./marks.js";
import { bindModels } from "./models.js";
import { bindShortcuts } from "./shortcuts.js";
import { paged } from "./pages.js";
import { fromAddress, keep, toAddress, unfit } from "./state.js";
import { bindTake } from "./take.js";
import { buttons, press } from "./tokens.js";
import { bindTour } from "./tour.js";
import { judge } from "./verdict.js";
import { VIEWS } from "./views.js";

const [start, field] = [server.defaults, byId("text")];
let state = fromAddress(location.search, start, server);
let [tokens, read] = [null, null]; // of the text that was read last; which text and mask that was
let [unwait, waiting] = [() => {}, false]; // stops the timers that say so; whether it is said
const STALE = 700; // milliseconds after which a view that waits is blank

askOf(server.model);

const address = (view) => toAddress(view, start, server.model ?? server.name, server.model !== null);
const answered = ({ given, text, mask }) => JSON.stringify({ ...(given ?? { text }), mask }); // as choices.js has it of a state

const held = new Map(); // the last answers of the view that stands, by their questions: what it asked once its table stood, what no token changes, or all
const known = (asked) => held.get(JSON.stringify(asked));
function hold(asked, answer) {
  const question = JSON.stringify(asked);
  if (!held.delete(question) && held.size > 7) held.delete(held.keys().next().value); // what was used last stays
  held.set(question, answer);
}

/** Shows `state`: the controls at once, then what the server answers, or answered `before`; a later call overtakes an earlier one. */
async function show(before = []) {
  const { references } = spaceOf(state, server);
  if (references.length && !references.includes(state.reference)) state.reference = "layer"; // isolated, say, where keys are chosen after it: as it is answered
  const signal = begin();
  queueMicrotask(paintChoices); // once what is asked is on its way
  unwait();
  if (waiting) wait(false);
  const waits = [setTimeout(() => busy(true), 120), setTimeout(() => wait(false), STALE)];
  unwait = () => waits.map(clearTimeout);
  const arriving = VIEWS[state.view].arriving?.(server);
  let arrived = false;
  const arrives = (found, n) => {
    if (signal.aborted) return;
    unwait();
    if (!arrived) {
      busy(false); // what has come is read while the rest is waited for
      clear(VIEWS[state.view].title(tokens[state.token]));
      wait(true);
    }
    arriving(found, n, state);
    arrived = true;
  };
  try {
    if (JSON.stringify(given(state)) !== read) paintTokens(await post("read", given(state), signal));
    if (state.word) named();
    const asked = VIEWS[state.view].questions(state, server, tokens);
    const later = VIEWS[state.view].later?.(state, server);
    const old = [...asked, later].some(known);
    const ask = (one, n) => (arriving ? lines(`${one[0]}/layers`, one[1], signal, (found) => arrives(found, n)) : post(...one, signal));
    const answers = await Promise.all(asked.map((one, n) => before[n] ?? known(one) ?? ask(one, n)));
    asked.forEach((one, n) => (VIEWS[state.view].keeps || ["usual", "glance", "written"].includes(one[0])) && hold(one, answers[n]));
    paint(answers, known(later)); // no column goes only to come back
    say(state.unused?.length ? `Of this address could not be used: ${state.unused.join("; ")}. The page’s own choice stands instead.` : "");
    if (later && !known(later)) {
      settled();
      byId("status").textContent = WORDS.later[state.view];
      const waits = VIEWS[state.view].keeps ? 0 : setTimeout(() => wait(true), STALE); // what is flipped in place is not moved
      unwait = () => clearTimeout(waits);
      const answer = await post(...later, signal);
      await released;
      if (signal.aborted) return;
      hold(later, answer);
      paint(answers, answer);
    }
    const now = old && await new Promise((drawn) => setTimeout(drawn, 100)).then(() => post("read", given(state), signal));
    if (now && now.model.weights_sha256 !== server.weights_sha256) { // what was held is of weights that are no more
      paintTokens(now);
      return show();
    }
    ahead(signal);
  } catch (fault) {
    if (signal.aborted) return;
    await recover(fault, signal);
  } finally {
    if (!signal.aborted) settled();
  }
}

/** Takes what the question before had as its answer off the page. */
function clear(title) {
  for (const place of document.querySelectorAll("#view .figure, #notes")) place.replaceChildren();
  byId("title").replaceChildren(...title);
  document.title = `${byId("title").textContent} · headscope`;
}

/** The token that an address names by its word instead of its position; positions differ from model to model. */
function named() {
  const at = tokens.findIndex(({ text }) => text.trim().toLowerCase() === state.word.toLowerCase());
  state = { ...state, word: null, ...(at < 0 ? { unused: [...(state.unused ?? []), unfit("word", state.word, "no token of the text")] } : { token: at }) };
  history.replaceState(null, "", address(state));
  paintChoices();
}

/** Says what went wrong; a server that is away or full is asked again. */
async function recover(fault, signal) {
  if (fault instanceof Lost) {
    say("The server does not answer. It is asked again every second; the page goes on when it is back.");
    await returned(signal);
  } else if (fault instanceof Refused && [429, 503].includes(fault.status)) {
    say(`${fault.message} It is asked again in a second.`);
    await new Promise((later) => setTimeout(later, 1000));
  } else if (fault instanceof Refused && (fault.answer.isolated || fault.answer.map)) {
    settled();
    say("");
    if (!(await made(fault.answer, signal))) return;
  } else {
    clear(["No answer"]); // nothing of before stands under what is chosen now
    byId("steps").replaceChildren();
    judge({ ...state, view: null }, server);
    if (JSON.stringify(given(state)) !== read) {
      [read, tokens] = [null, null];
      for (const place of ["tokens", "selected"]) byId(place).replaceChildren();
    }
    return say(said(fault));
  }
  if (!signal.aborted) show();
}

/** Takes a choice: into the state, into the address, onto the page. */
function change(choice) {
  const next = { ...state, why: null, unused: null, ...choice };
  if (next.view !== state.view || "classroom" in choice) held.clear(); // what is drawn is starred for good
  if ("classroom" in choice) keep("classroom", choice.classroom);
  if (next.view !== state.view && byId("title").getBoundingClientRect().top < 0) byId("title").scrollIntoView({ behavior: "instant" }); // another view is read from its top
  if (address(next) === address(state)) return;
  const another = JSON.stringify(given(next)) !== JSON.stringify(given(state));
  state = next;
  show();
  history[rapid(Object.keys(choice)[0]) ? "replaceState" : "pushState"](null, "", address(next)); // a key held down would fill it
  if (another) revisit();
}

let [byKey, last, width] = [false, { what: null, when: 0 }, 0];
function rapid(what) {
  const [now, before] = [performance.now(), last];
  last = { what, when: now };
  return byKey && before.what === what && now - before.when < 400;
}

function say(sentence) {
  const [problem, text] = [byId("problem"), sentence && sentence[0].toUpperCase() + sentence.slice(1)];
  if (problem.textContent !== text) problem.textContent = text;
  problem.hidden = !text;
}

function settled() {
  unwait();
  busy(false);
  if (waiting) byId("making").hidden = true;
  waiting = false;
}

/** What takes long says so, and can be stopped; a view that is out of date is not shown meanwhile, unless what is there stands `beside`. */
function wait(beside) {
  waiting = true;
  tell(`Waiting: ${working()}`, "Stop", () => {
    begin();
    settled();
    waiting = true;
    tell("Stopped.", "Go on", () => { byId("view").focus(); show(); }, beside);
    byId("making").lastChild.focus();
  }, beside);
}

/** Has what the next click will need made, while this view is looked at. */
async function ahead(signal) {
  await new Promise((looked) => setTimeout(looked, STALE)); // who clicks on and on needs the cores
  if (signal.aborted || !server.ahead || document.hidden || !["heads", "atlas", "layers"].includes(state.view)) return;
  const looked = new AbortController();
  for (const [target, name] of [[signal, "abort"], [document, "visibilitychange"]]) target.addEventListener(name, () => looked.abort(), { once: true });
  post("ahead", { ...question({ ...state, compare: "none" }, server)[1], view: state.view }, looked.signal).catch(() => { /* it is made when it is asked for */ });
}

function busy(on) {
  byId("view").toggleAttribute("data-busy", on);
  byId("status").textContent = on ? working() : "";
}

function working() {
  const size = { ...server, tokens: tokens?.length ?? "the" };
  return WORDS.working[state.view].replace(/\{(\w+)\}/g, (_, name) => size[name].toLocaleString("en"));
}

/** Marks a text that was typed and not read. */
const drafted = () => byId("ask").toggleAttribute("data-draft", field.value !== written());
const written = () => (state.ids ? "" : state.text);

function paintChoices() {
  showControls(state, server);
  showBasis(state, server);
  field.placeholder = state.ids ? "Token ids were read; a text takes their place" : "";
  drafted();
  if (tokens?.[state.token]) press(byId("tokens"), tokens[state.token], byId("selected"));
}

function paintTokens(answer) {
  if (server.weights_sha256 !== answer.model.weights_sha256) held.clear();
  server.weights_sha256 = answer.model.weights_sha256;
  [read, tokens] = [answered(answer), answer.tokens];
  const last = tokens.length - 1; // of a shorter text; what is taken away is of the address
  if (state.token > last) state.unused?.push(unfit("token", String(state.token), `the last is ${last}`));
  if (state.token > last) history.replaceState(null, "", address(Object.assign(state, { token: last })));
  if (document.activeElement !== field) field.value = written();
  byId("tokens").replaceChildren(...buttons(tokens));
  paintChoices();
}

/** The way from a place down to an element in it: the so-manieth child of each, grids that are not shown left out. */
const wayTo = (at, place) => (at === place ? [] : [...wayTo(at.parentElement, place), [...at.parentElement.querySelectorAll(":scope > :not(.spare)")].indexOf(at)]);

function paint(answers, more) {
  const places = [...document.querySelectorAll("#view .figure")];
  const [signal, at, view, within] = [standing(), document.activeElement, ...["#view", "#view .figure"].map((place) => document.activeElement.closest(place))];
  const way = within && wayTo(at, within); // what comes later must not take the focus from whoever moves through the table
  // What is out of sight, and stays, is drawn after what is seen. Both are looked up before anything is changed.
  const far = places.filter((place) => place.firstChild && place !== within && place.getBoundingClientRect().top > innerHeight);
  const { title, noted = [...answers, more], figures, steps = WORDS.steps[state.view] } = VIEWS[state.view].paint(answers, state, server, tokens, more, show);
  const below = far.filter((place) => figures[place.id]);
  settled(); // tables are measured where they are seen
  byId("title").replaceChildren(...title);
  const told = [...new Set(noted.flatMap((one) => one?.notes ?? []))].map((note) => [h("strong", {}, "Note "), note.replace(/ In a program: .*$/s, "")]);
  const number = told.length > 1 && h("span", { class: "more" }, `${told.length} notes`);
  byId("notes").replaceChildren(...told.map((note, n) => (n ? h("p", {}, note) : h("summary", {}, h("span", {}, note), number || []))));
  const put = (some) => {
    for (const place of some) fill(place, figures[place.id] instanceof Function ? figures[place.id]() : figures[place.id] ?? []);
    paged(some);
    for (const place of [...some, byId("verdict")]) markChosen(place, state);
  };
  put(places.filter((place) => !below.includes(place)));
  const there = way?.reduce((here, n) => here?.querySelectorAll(":scope > :not(.spare)")[n], within);
  if (there && !at.isConnected) focus(there.closest("table")?.querySelector("tbody [tabindex='0']") ?? at, there) ?? there.focus();
  byId("steps").replaceChildren(...parsed(steps));
  judge(state, server, answers.find((one) => one.survey));
  testIt(server, show);
  for (const one of view ? [...(within?.querySelectorAll("tbody [tabindex='0']") ?? []), view] : []) if (document.activeElement === document.body) one.focus({ preventScroll: true }); // what was pressed is gone
  performance.mark("tables");
  if (below.length) requestAnimationFrame(() => setTimeout(() => signal.aborted || put(below)));
  document.title = `${byId("title").textContent} · headscope`;
}

Object.assign(field, { value: written(), maxLength: server.characters + 1 });
field.addEventListener("input", drafted);
field.addEventListener("focus", () => field.classList.add("open"));
field.addEventListener("blur", () => released.then(() => setTimeout(() => field.classList.toggle("open", document.activeElement === field)))); // or it would pull away what is pressed
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.ids && !field.value) return; // they stand until a text is written
  // A map stays as it is, and a new text is placed into it; not into that of ids, which no address can name beside a text.
  change({ text: field.value, ids: null, into: VIEWS[state.view].places && !state.ids ? (state.into ?? state.text) : null });
});
alongTokens(byId("tokens"), (token) => change({ token }));
byId("view").addEventListener("click", ({ target }) => {
  const { choose, layer, head, reference, go } = target.closest("button")?.dataset ?? {};
  if (go) change(JSON.parse(go));
  if (choose) change({ head: Number(choose) === state.head ? null : Number(choose) });
  if (layer) change({ view: "heads", layer: Number(layer), head: Number(head), reference: reference ?? state.reference });
});
byId("basis").addEventListener("change", ({ target }) => change({ reference: target.value }));
throughCells(byId("view"));
onCell(byId("neighbors"), (cell) => change(whyOf(cell) === state.why ? { why: null } : { why: whyOf(cell), head: Number(cell.head) }));
for (const place of ["positions", "attention", "pattern", "written"]) onCell(byId(place), (cell) => change({ token: Number(cell.position) }));
onCell(byId("survey"), ({ layer, head }) => change({ view: "heads", layer: Number(layer), head: Number(head) }));
markTokens(document.querySelector("main"), byId("readout"));
new ResizeObserver(([{ contentRect }]) => { if (width !== (width = contentRect.width)) requestAnimationFrame(() => paged([byId("view")])); }).observe(byId("view"));
new ResizeObserver(() => document.documentElement.style.setProperty("--held", `${byId("bar").offsetHeight}px`)).observe(byId("bar"));
bindControls(server, change);
bindModels(server, server.linked, (name, { layers, heads }) => {
  location.assign(toAddress({ ...state, layer: Math.min(state.layer, layers - 1), head: state.head < heads ? state.head : null, why: null }, start, name, true));
});
if (state.classroom) history.replaceState(null, "", address(state)); // as it is remembered
bindShortcuts();
bindTake();
bindClassroom(document.querySelectorAll("main > :not(#bar)"), () => state.classroom);
const revisit = bindTour(() => given(state), change);
for (const [kind, on] of [["keydown", true], ["pointerdown", false]]) addEventListener(kind, () => { byKey = on; }, true);
addEventListener("popstate", () => {
  held.clear();
  state = fromAddress(location.search, start, server);
  field.value = written();
  show();
});

if (sent) paintTokens(sent);
// What the page was sent with is the answer to one question.
const [first] = VIEWS[state.view].questions(state, server, tokens ?? []);
show(sent && !state.word && first?.[0] === "nearest" ? [sent] : []); // a word is to be found first
document.documentElement.classList.remove("undrawn"); // it is drawn in the same frame
