// What the page was sent with: the server and its choices, the page's words, and the answer to the address.
import { byId } from "./dom.js";

export const { server, answer, words: WORDS } = JSON.parse(byId("first").textContent);
