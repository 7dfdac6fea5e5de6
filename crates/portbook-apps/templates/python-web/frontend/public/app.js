const config = await (await fetch("config.json")).json();
const backend = `${location.protocol}//${location.hostname}:${config.backend_port}/api`;

const status = document.getElementById("status");
const form = document.getElementById("form");
const list = document.getElementById("notes");

function show(notes) {
  list.replaceChildren(...notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note.text;
    return item;
  }));
}

async function ask(path, options) {
  const response = await fetch(`${backend}/${path}`, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function refresh() {
  try {
    const health = await ask("health");
    status.textContent = `${health.app} answers on port ${config.backend_port}`;
    show(await ask("notes"));
  } catch (error) {
    status.textContent = `the backend on port ${config.backend_port} does not answer: ${error.message}`;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const note = { text: form.text.value };
    await ask("notes", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(note),
    });
    form.reset();
    await refresh();
  } catch (error) {
    status.textContent = error.message;
  }
});

refresh();
