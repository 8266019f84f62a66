// The views of the page; each has the controls that matter to it, its questions, and how their answers are painted.
import * as atlas from "./atlas.js";
import * as attention from "./attention.js";
import * as heads from "./heads.js";
import * as journey from "./journey.js";
import * as layers from "./layers.js";
import * as map from "./map.js";
import { OFFERED } from "./offered.js";
import * as survey from "./survey.js";
import * as written from "./written.js";

export const VIEWS = { heads, atlas, attention, written, journey, layers, map, survey, ...OFFERED };
