// What each control and table means: one plain sentence, its formula, and the method told with the reader's own example.
import { compareSays } from "./compare.js";
import { h, label } from "./dom.js";
import { count, distance, tiny } from "./numbers.js";

const METRICS = {
  cosine: [
    "Compares directions only: 0 is the same direction, 1 a right angle, 2 the opposite.",
    "1 − z·R / (|z| |R|)",
  ],
  euclidean: ["Compares places: how far apart the two vectors lie.", "|z − R|"],
  dot: [
    "Compares direction and length at once; its sign is turned, so that nearer is smaller here too.",
    "−z·R",
  ],
};

// Their sentences come from the server.
const REFERENCES = {
  input: "R_t = LN_0(E_t + P_i) W_V^0 + b_V^0",
  layer: "R_t = LN_ℓ(E_t + P_i) W_V^ℓ + b_V^ℓ",
  isolated: "R_t = v_t in layer ℓ, of a text whose only token is t",
};

const CANDIDATES = {
  all: ["Every token of the vocabulary may be a neighbour.", "t ∈ {0 … V−1}"],
  words: ["Special, unused and byte tokens are left out; ranks count only the others.", "t ∈ words"],
};

const MASKS = {
  full: ["Every token sees all others, whatever the model was trained with.", "α_ij ≥ 0 for all j"],
  causal: [
    "Every token sees itself and those before it, whatever the model was trained with.",
    "α_ij = 0 for j > i",
  ],
};

const POSITIONS = {
  none: [
    "Off: this model adds no position embedding to its input, so there is none to add to the vocabulary.",
    "P_i = 0",
  ],
  isolated: ["Off: every vocabulary token that was read alone stands at its own place in a text of its own.", "P_t"],
  on: ["Each vocabulary token is encoded as if it stood where the selected token stands.", "E_t + P_i"],
  off: ["Each vocabulary token is encoded without any position.", "E_t"],
};

const LAYER = [
  "Layer 0 reads the tokens themselves; every later layer reads what the one before it made of them.",
  "z_i = Σ_j α_ij v_j, with v_j = LN_ℓ(x_j) W_V^ℓ + b_V^ℓ",
];

const OWN_MASK = {
  full: ["The model’s own: every token sees all others.", MASKS.full[1]],
  causal: ["The model’s own: every token sees itself and those before it.", MASKS.causal[1]],
};

function positionNow(state, server) {
  if (state.reference === "isolated") return "isolated";
  if (!server.position_embeddings) return "none";
  return state.position ? "on" : "off";
}

/** Whether the position switch has a meaning. */
export const positionsOpen = (state, server) => ["on", "off"].includes(positionNow(state, server));

/** For each control, its sentence and its formula, as it stands. */
export function sentences(state, server) {
  return {
    layer: LAYER,
    metric: METRICS[state.metric],
    reference: [server.references[state.reference], REFERENCES[state.reference]],
    position: POSITIONS[positionNow(state, server)],
    candidates: CANDIDATES[state.candidates],
    mask: state.mask === "model" ? OWN_MASK[server.causal ? "causal" : "full"] : MASKS[state.mask],
    compare: [compareSays(state, server), "overlap = |A ∩ B| / k, moved = rank_B − rank_A"],
  };
}

/** What stands under each table: a sentence, and what the distances are between. */
export const TABLES = {
  neighbors: [
    "For each head, the vocabulary tokens whose encoding its output is nearest to, nearest first. The selected " +
      "token itself is marked •; where it is not listed, the last row gives its rank among all candidates.",
    "distance(z_i, R_t), over tokens t of the vocabulary",
  ],
  versus: [
    "For each head, the tokens nearest to its output on both sides of the comparison, the chosen view on the left. " +
      "A token that both sides list is underlined. The last row counts these, and says by how many places the " +
      "selected token (•) is farther or nearer on the right.",
    "A, B: the k tokens t of least distance(z_i, R_t) on the left and on the right; overlap = |A ∩ B| / k",
  ],
  positions: [
    "For each head, all positions of the text by how near its output there is to its output at the selected " +
      "token, which is marked • and at distance 0 from itself in cosine and Euclidean.",
    "distance(z_i, z_j), over positions j of the text",
  ],
};

/** A formula in which _x and ^x are set low and high. */
export function formula(text) {
  const tags = { _: "sub", "^": "sup" };
  const parts = text.split(/([_^][\p{L}\p{N}]+)/u);
  return h("span", { class: "math" }, parts.map((part) => (tags[part[0]] ? h(tags[part[0]], {}, part.slice(1)) : part)));
}

/** Where the own token stands in the head that ranks it best. */
function standing(token, own) {
  if (!own.rank) return ["The encoding of ", token, " itself is not finite, so it has no rank."];
  const nearer = own.rank === 2 ? "1 candidate is" : `${own.rank === 1 ? "no" : count(own.rank - 1)} candidates are`;
  return [
    "For ", token, ` itself the distance is ${distance(own.distance)}, rank ${count(own.rank)}: `,
    `${nearer} strictly nearer. No other head of this layer ranks it better.`,
  ];
}

/** How the vocabulary comes to its encodings. */
function road({ reference, layer }, vocabulary, place) {
  if (reference === "isolated") {
    return `Each of the ${vocabulary} vocabulary tokens is read alone by the model, and its value in layer ${layer} is taken`;
  }
  const through = reference === "input" ? 0 : layer;
  return `Each of the ${vocabulary} vocabulary tokens is sent through the value projection of layer ${through}${place}`;
}

/** The method in steps, with the numbers of this answer. */
export function steps(answer, server) {
  const own = answer.tokens[answer.selected];
  const token = () => h("strong", {}, label(own.label));
  const better = (a, b) => b.own.rank && (!a.own.rank || b.own.rank < a.own.rank);
  const best = answer.heads.reduce((a, b) => (better(a, b) ? b : a));
  const nearest = best.neighbors[0];
  const other = best.positions.find((one) => one.position !== own.position);
  const vocabulary = count(server.vocab_size);
  const place = answer.use_position ? `, as if it stood at position ${own.position}` : ", without a position";
  const step = (title, ...body) => h("li", {}, h("h3", {}, title), h("p", {}, ...body));
  return h(
    "ol",
    {},
    step(
      "The text becomes tokens",
      `The model’s tokenizer cuts your text into ${count(answer.tokens.length)} tokens. You selected `, token(),
      `, number ${own.id} of a vocabulary of ${vocabulary}, at position ${own.position} (counted from 0).`,
    ),
    step(
      "Every head writes a vector",
      `In layer ${answer.layer}, each of the ${answer.heads.length} heads looks at the positions of the text and mixes `,
      "their values: ", formula("z_i = Σ_j α_ij v_j"), `, ${server.d_head} numbers a head. This is taken before the `,
      "heads are concatenated: it is what one head alone has to say at ", token(), ".",
    ),
    step(
      "The vocabulary takes the same road",
      `${road(answer, vocabulary, place)}: that gives `, formula("R_t"),
      `, ${server.d_head} numbers as well, for every head.`,
    ),
    step(
      "Near means alike",
      `Head ${best.head} puts `, h("strong", {}, label(nearest.label)), ` nearest, at ${answer.metric} distance `,
      `${distance(nearest.distance)}. `, ...standing(token(), best.own),
    ),
    other &&
      step(
        "The text compared with itself",
        `The second table compares outputs with outputs: in head ${best.head}, the one at position ${other.position} (`,
        h("strong", {}, label(other.label)), `) comes nearest to the one at position ${own.position}, at `,
        `${distance(other.distance)}.`,
      ),
    step(
      "What a table cannot say",
      "A head’s value space has no basis of its own: turned, and its output matrix turned back, it leaves the model ",
      "the same. With Reference “Input layer”, a layer above 0 is therefore compared across two unrelated bases (layers ",
      "that share their weights excepted); “This layer” compares within one. And near tokens alone prove nothing: ",
      "some tokens are near to everything.",
    ),
    step(
      "Is the capture right?",
      "When the model was opened, a probe was read: the captured outputs were rebuilt from weights and values, and the ",
      `layer’s output from them. The largest relative error was ${tiny(server.capture_error)}.`,
    ),
  );
}
