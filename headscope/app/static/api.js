// The server's answers, or what kept them.

/** The server said no; the message is its sentence. */
export class Refused extends Error {
  constructor(answer, status) {
    super(answer.error);
    this.answer = answer;
    this.status = status;
  }
}

/** The server did not answer at all. */
export class Lost extends Error {}

/** The answer to a question; `signal` gives it up. */
export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return call(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** How far work is that goes on in the background. */
export const progress = (path, signal) => call(path, { signal, cache: "no-store" });

/** Stops work that goes on in the background. */
export const stop = (path) => call(path, { method: "DELETE" });

async function call(path, request) {
  let response, answer;
  try {
    response = await fetch(`api/v1/${path}`, request);
    answer = await response.json();
  } catch (fault) {
    if (request.signal?.aborted) throw fault;
    throw new Lost(String(fault));
  }
  if (!response.ok) throw new Refused(answer, response.status);
  return answer;
}

/** Waits until the server answers again, or `signal` gives up. */
export async function returned(signal) {
  while (!signal.aborted) {
    await new Promise((later) => setTimeout(later, 1000));
    try {
      if ((await fetch("api/v1/health", { signal, cache: "no-store" })).ok) return;
    } catch { /* still away */ }
  }
}
