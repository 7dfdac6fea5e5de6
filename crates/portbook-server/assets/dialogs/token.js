// Asking for the token, where the server wants one.

import { ask, BadField, field } from "./dialog.js";

/** Resolves with a token; rejects when the person has none. */
export async function tokenDialog(wasRefused) {
  let token;
  await ask({
    title: "This server asks for a token",
    text: wasRefused
      ? "It did not accept the one it was given. It may have been replaced."
      : "Whoever runs it has one for you. It is kept in this tab only, until you close it.",
    fields: [field("token", "Token", { type: "password", required: true })],
    action: "Go on",
    run: (form) => {
      token = form.elements.token.value.trim();
      if (!token) throw new BadField(form.elements.token, "The token is missing");
    },
  });
  if (!token) throw new TokenMissing();
  return token;
}

/** Nobody gave a token. */
export class TokenMissing extends Error {
  constructor() {
    super("the server asks for a token");
    this.status = 401;
    this.hint = "Reload the page to enter one.";
  }
}
