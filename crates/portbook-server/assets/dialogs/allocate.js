// Asking for ports.

import { element } from "../element.js";
import { tell } from "../announce.js";
import { appKey, counted, portsInWords } from "../words.js";
import { ask, BadField, field } from "./dialog.js";

/** Asks which apps are to have ports, and resolves with the allocations. */
export async function allocateDialog(api, models) {
  const known = element("datalist", { id: "known-models" }, models.map((model) => element("option", { value: model })));
  const granted = await ask({
    title: "Allocate ports",
    text: "Every app gets its own, for good: they are nobody else's until it is released. An app that has ports keeps them.",
    fields: [
      field("model", "Model", { hint: "As its directory is called: openai_gpt-4", list: "known-models", required: true, maxlength: "200" }),
      field("apps", "Apps", { hint: "One or several: 3, 1-30, or 1,4,9-12", value: "1", required: true }),
      element(
        "details",
        {},
        element("summary", {}, "Further roles, an end"),
        element(
          "div",
          { class: "fields" },
          field("roles", "Further roles", { hint: "Besides backend and frontend: db, ws" }),
          field("ttl", "Ends after", { hint: "Makes it a lease: 2h, 30m. Empty: it never ends" }),
        ),
      ),
      known,
    ],
    action: "Allocate",
    run: (form) => allocate(api, form.elements),
  });
  if (!granted) return undefined;
  const made = granted.filter((grant) => grant.created);
  if (granted.length === 1) {
    const [grant] = granted;
    const app = appKey(grant.model, grant.app_num);
    tell(grant.created ? `${app} has ${portsInWords(grant.ports)}.` : `${app} keeps ${portsInWords(grant.ports)}.`);
  } else {
    tell(`${counted(made.length, "app")} of ${granted.length} got new ports; all have theirs.`);
  }
  return granted;
}

async function allocate(api, { model, apps, roles, ttl }) {
  const name = model.value.trim();
  if (!name) throw new BadField(model, "The model is missing", "Write its name, as openai_gpt-4.");
  const numbers = appNumbers(apps.value);
  if (!numbers) throw new BadField(apps, `“${apps.value}” names no apps`, "Write 3, 1-30, or 1,4,9-12.");
  const options = {};
  const further = roles.value.split(/[\s,]+/).filter(Boolean);
  if (further.length) options.roles = further;
  if (ttl.value.trim()) options.ttl = ttl.value.trim();
  const named = numbers.map((number) => ({ model: name, app_num: number }));
  const body = named.length === 1 ? { ...named[0], ...options } : { apps: named, ...options };
  const answer = await api.post("allocations", body);
  return Array.isArray(answer) ? answer : [answer];
}

const MOST = 16384;

/** The numbers that `3`, `1-30` or `1,4,9-12` names, or `undefined`. */
function appNumbers(text) {
  const numbers = new Set();
  for (const part of text.split(",")) {
    const range = /^\s*(\d{1,10})(?:\s*-\s*(\d{1,10}))?\s*$/.exec(part);
    if (!range) return undefined;
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (first < 1 || last < first || last > 2147483647 || last - first + numbers.size >= MOST) return undefined;
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return [...numbers];
}
