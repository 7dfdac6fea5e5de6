// Giving an app's ports back.

import { appPath } from "../api.js";
import { tell } from "../announce.js";
import { portsInWords } from "../words.js";
import { ask } from "./dialog.js";

/** Asks, releases, and resolves with whether it was done. */
export async function releaseDialog(api, app) {
  const done = await ask({
    title: `Release ${app.key}?`,
    text: `It gives back ${portsInWords(app.ports)}, and another app may get them. A running app is not stopped.`,
    action: "Release",
    isDangerous: true,
    run: () => api.delete(appPath(app.model, app.number)),
  });
  if (done) tell(`${app.key} gave back ${portsInWords(app.ports)}.`);
  return Boolean(done);
}
