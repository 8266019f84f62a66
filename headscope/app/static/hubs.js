// An answer held against other texts: when that can be asked, and what it means.
import { question } from "./compare.js";

/** Why the switch is closed, or null. */
export function hubsClosed(state, server) {
  const [route, asked] = question(state, server);
  if (route === "compare") return "two answers are compared already";
  if (asked.vector !== "z") return "other texts’ outputs are kept, not their queries, keys and values";
  if (asked.space === "unembedding" && asked.metric === "euclidean") return "not for the Euclidean distance in this space";
  return null;
}

/** What the switch says. */
export function hubsSays(state) {
  return state.hubs
    ? "On: beside each head’s nearest tokens stand those that are nearer than usual, and what other texts would give."
    : "Off. On: which neighbours are near to everything, and what other texts would give.";
}

/** The question about other texts; null where it is not asked. */
export const hubsAsk = (state, server) =>
  state.hubs && !hubsClosed(state, server) ? ["background", question(state, server)[1]] : null;

/** How the scores and the skewness are worked out. */
export const HUBS = "score = (s(z_i, R_t) − μ_t) / σ_t over other texts; skew of N_10(t)";
