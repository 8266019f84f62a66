// The sheet of models: what is open, what can be opened, and how far the one is that is being opened.
import { get, post, said } from "./api.js";
import { button, byId, h } from "./dom.js";
import { count, tiny } from "./numbers.js";
import { keep, kept } from "./state.js";

const KEPT = 6; // names of models that a browser remembers
const recent = () => JSON.parse(kept("models") ?? "[]");
const remember = (name) => keep("models", JSON.stringify([name, ...recent().filter((one) => one !== name)].slice(0, KEPT)));

/** Binds the sheet; `asked` is a model that the address names and that is not open; `go(name, card)` shows a model. */
export function bindModels(server, asked, go) {
  paintHead(server, asked);
  if (asked && server.may_open) askFirst(asked);
  byId("models").addEventListener("toggle", ({ newState }) => newState === "open" && list(server, go));
  byId("open-model").addEventListener("submit", (event) => {
    event.preventDefault();
    open(Object.fromEntries(Array.from(new FormData(event.target), ([name, value]) => [name, value.trim() || null])), go);
  });
}

function paintHead(server, asked) {
  const size = `${server.layers} layers × ${server.heads} heads of ${server.d_head}${server.shared && ` (${server.shared})`}, ${count(server.vocab_size)} tokens`;
  byId("model").replaceChildren(h("button", { type: "button", class: "quiet", popovertarget: "models", title: "Open another model" }, server.name), h("p", {}, size));
  byId("card").replaceChildren(
    h("p", {}, h("strong", {}, server.name), `: ${size}; ${server.why}.`),
    h("p", { title: "the largest relative error of the captured outputs against the model itself, on a probe" }, `Capture error ${tiny(server.capture_error)}; ${server.arithmetic}; weights SHA-256 ${server.weights_sha256.slice(0, 16)}…`),
    h("p", { id: "kept" }, server.memory.says),
  );
  if (server.closed) byId("model").append(h("p", { class: "closed" }, server.closed));
  if (!asked) return;
  const open = server.may_open ? button("Open it …", () => byId("asked").showModal()) : null;
  byId("model").append(h("p", { class: "other" }, `This link was made with ${asked}; here it is answered by ${server.name}. `, open));
}

/** A link opens nothing by itself: its reader is asked, and then shown what it names. */
function askFirst(asked) {
  const link = location.href;
  const dialog = byId("asked");
  dialog.querySelector("strong").textContent = asked;
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "open") return;
    byId("models").showPopover();
    open({ model: asked }, () => location.assign(link));
  });
  dialog.showModal();
}

async function list(server, go) {
  byId("open-model").hidden = !server.may_open;
  const line = (name, says, card) => {
    const shown = () => (card ? go(name, card) : open({ model: name }, go));
    return h("li", {}, name === (server.model ?? server.name) ? h("strong", {}, name) : button(name, shown), says);
  };
  try {
    const [{ open: opened, names, also, available }, { memory }] = await Promise.all([get("models"), get("health")]);
    byId("kept").textContent = memory.says;
    const rest = recent().filter((name) => ![...names, ...also].includes(name) && !available.some((one) => one.name === name));
    byId("known-models").replaceChildren(
      ...opened.map((card, n) => line(names[n], " · open", card)),
      ...available.map(({ name, where, bytes }) => line(name, ` · ${where}, ${count(Math.round(bytes / 1e6))} MB`)),
      ...(server.may_open ? rest.map((name) => line(name, " · opened before")) : []),
    );
  } catch (fault) {
    say(said(fault));
  }
}

function say(sentence, name = " ", working = false) {
  byId("opening").hidden = !working;
  byId("model-says").textContent = sentence.startsWith(name) ? sentence : sentence[0].toUpperCase() + sentence.slice(1); // a name stays as it is
}

/** Opens a model beside the page, which goes on; shows it when it is there, or says why it is not. */
async function open(asked, go) {
  try {
    let told = await post("models", asked);
    const { name } = told; // what questions ask for it by
    while (told.state === "working") {
      say(`${name}: ${told.step} …`, name, true);
      await new Promise((later) => setTimeout(later, 300));
      told = await get("models/opening");
    }
    if (told.state === "failed") return say(told.problem, name);
    remember(name);
    say(`${name} is open.`, name);
    go(name, told.card);
  } catch (fault) {
    say(said(fault), asked.model ?? undefined);
  }
}
