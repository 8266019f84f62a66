// The sign of what a token is to the text, so that colour is never alone.
export const KINDS = { own: "▸", text: "•", variant: "≈", special: "◦", elsewhere: "" };
