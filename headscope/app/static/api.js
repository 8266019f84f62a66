// The server's answers, or what kept them.

/** The server said no; the message is its sentence. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The server did not answer at all. */
export class Lost extends Error {}

/** The answer to a question; `signal` gives it up. */
export async function post(path, body, signal) {
  let response, answer;
  try {
    response = await fetch(`api/v1/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    answer = await response.json();
  } catch (fault) {
    if (signal.aborted) throw fault;
    throw new Lost(String(fault));
  }
  if (!response.ok) throw new Refused(answer.error, response.status);
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
