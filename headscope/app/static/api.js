// The server's answers, or what kept them.
import { server } from "./first.js";

/** The server said no; the message is its sentence. */
export class Refused extends Error {
  constructor(answer, status) {
    Object.assign(super(answer.error), { answer, status });
  }
}

/** The server did not answer at all. */
export class Lost extends Error {}

const named = () => ({ "Headscope-Visitor": Math.random().toString(36).slice(2), "Headscope-Page": server.page });
let visitor = named(); // a view, as the server knows it: one that is left waits no longer, and the next may for the same
let view = new AbortController(); // gives up what it asked for
let model = null; // that the page is of, where it is not the server's own

/** Asks a model beside the server's own from here on. */
export const askOf = (name) => { model = name; };

/** A view begins: what the one before has asked for is given up. The signal that will give up this one's. */
export function begin() {
  view.abort();
  [view, visitor] = [new AbortController(), named()];
  return view.signal;
}

/** The signal of the view that stands. */
export const standing = () => view.signal;

/** The answer to a question; `signal` gives it up. */
export function post(path, body, signal, read) {
  const headers = { "Content-Type": "application/json", ...visitor };
  return call(path, { method: "POST", headers, body: JSON.stringify(model ? { model, ...body } : body), signal }, read);
}

/** The same of a path that answers in lines: what comes before the answer goes to `arrives`. */
export const lines = (path, body, signal, arrives) => post(path, body, signal, async (response) => {
  if (!response.ok) return response.json();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", answer = null; ;) {
    const { done, value } = await reader.read();
    if (done && !answer) throw new Error("the answer was cut off");
    if (done) return answer;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const line of parts.map((part) => JSON.parse(part))) {
      if ("rates" in line) arrives(line);
      else answer = line;
    }
  }
});

/** Numbers that the server sends as bytes. */
export const floats = (path) => call(path, {}, async (response) => (response.ok ? new Float32Array(await response.arrayBuffer()) : response.json()));

/** What stands at a path now: how far work is that goes on in the background, say. */
export const get = (path, signal) => call(ofModel(path), { signal, cache: "no-store", headers: visitor });

/** Waits no longer for work that goes on in the background: where nobody does, it ends. */
export const leave = (path) => call(ofModel(path), { method: "DELETE", headers: visitor, keepalive: true });

const ofModel = (path) => (model && path.startsWith("isolated") ? `${path}&${new URLSearchParams({ model })}` : path);

async function call(path, request, read = (response) => response.json()) {
  let response, answer;
  try {
    response = await fetch(`api/v1/${path}`, request);
    answer = await read(response);
  } catch (fault) {
    if (request.signal?.aborted) throw fault;
    throw new Lost(String(fault));
  }
  if (!response.ok || answer?.error) throw new Refused(answer, response.status);
  return answer;
}

/** What kept an answer, in a sentence; a fault of another kind is thrown on. */
export function said(fault) {
  if (fault instanceof Refused) return fault.message;
  if (fault instanceof Lost || fault.name === "AbortError") return "The server does not answer.";
  throw fault;
}

/** Waits until the server answers again, or `signal` gives up. */
export async function returned(signal) {
  while (!signal.aborted) {
    await new Promise((later) => setTimeout(later, 1000));
    if (await get("health", signal).then(() => true, (fault) => fault instanceof Refused)) return;
  }
}
