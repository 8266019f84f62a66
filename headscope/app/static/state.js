// The view as one plain object, and as an address that shows it again.
import { VIEWS } from "./views.js";

/** What this browser remembers; it may refuse to, and then a choice lasts as long as the page. */
export const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
export const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* see above */ } };

const NUMBERS = ["token", "layer", "head", "size", "map_at", "map_k", "seed", "perplexity"];
const FORMS = { text: /^/, perplexity: /^\d{1,4}(\.\d{1,3})?$/, why: /^\d{1,6}\.\d{1,9}$/, ids: /^\d{1,9}(,\d{1,9})*$/ };

/** A part of an address that cannot be used, and why not. */
export const unfit = (name, said, why) => `${name}=${said.length > 60 ? `${said.slice(0, 60)}…` : said} (${why})`;

/** The view that an address asks for; what it does not say, or says wrongly (then it is in `unused`), is as in `start`. */
export function fromAddress(search, start, server) {
  const asked = new URLSearchParams(search);
  const state = { ...start, classroom: kept("classroom") === "true", unused: [] };
  const choices = { ...server.choices, view: Object.keys(VIEWS), head: Array.from({ length: server.heads }, (_, head) => String(head)) };
  for (const [name, first] of Object.entries(start)) {
    const said = name === "text" ? asked.get(name) : asked.get(name)?.trim() || null; // a text of spaces is refused, not replaced
    const [number, either] = [NUMBERS.includes(name), typeof first === "boolean"];
    const values = either ? ["true", "false"] : choices[name]?.filter(({ closed }) => !closed).map((one) => one.value ?? one);
    const form = FORMS[name] ?? (number ? /^\d{1,10}$/ : /./s);
    if (said === null) continue;
    if (values ? values.includes(said) : form.test(said)) state[name] = number ? Number(said) : either ? said === "true" : said;
    else state.unused.push(unfit(name, said, values ? `open here: ${values.join(", ")}` : number ? "not a number that can stand there" : "not as the page writes it"));
  }
  return state;
}

/** The address of a view: what differs from `start`, and the model that it was seen with; of its own server's only `named`. */
export function toAddress(state, start, model, named) {
  const changed = Object.keys(start).filter((name) => state[name] !== start[name] && state[name] !== null);
  if (!changed.length && !named) return "./";
  return `./?${new URLSearchParams([...changed.map((name) => [name, String(state[name])]), ["model", model]])}`;
}
