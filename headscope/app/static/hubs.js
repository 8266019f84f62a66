// An answer held against other texts: when that can be asked, and what it means.
import { question } from "./compare.js";

/** Whether the bank can be asked: of the outputs of other texts, and not where two answers are compared. */
export function hubsOpen(state, server) {
  const [route, { vector, space, metric }] = question(state, server);
  return route !== "compare" && vector === "z" && !(space === "unembedding" && metric === "euclidean");
}

/** The question about other texts; null where it is not asked. */
export const hubsAsk = (state, server) =>
  state.hubs && hubsOpen(state, server) ? ["background", question(state, server)[1]] : null;

/** How the scores and the skewness are worked out. */
export const HUBS = "score = (s(z_i, R_t) − μ_t) / σ_t over other texts; skew of N_10(t)";
