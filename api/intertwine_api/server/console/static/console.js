// The console's script. Pages work without it: it reads the rep while it is typed, loads slow
// sections, follows a solve, and copies code.

const TYPING_MS = 300; // after the last key
const POLL_MS = 1000;

/** Return the element with this id of another page of the service; null if it has none. */
async function sectionOf(address, id, signal) {
  const answer = await fetch(address, { headers: { accept: "text/html" }, signal });
  if (answer.status === 401) throw new Error("The session has ended: log in again.");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.getElementById(id);
}

/** Replace an element by the one with its id of another page. Return the new one. */
async function replaceFrom(address, element, signal) {
  const found = await sectionOf(address, element.id, signal);
  if (!found) throw new Error(`${address} has no #${element.id}`);
  const fresh = document.importNode(found, true);
  element.replaceWith(fresh);
  enliven(fresh);
  return fresh;
}

/** Show the meaning of a form's fields while they are typed. */
function readWhileTyping(form) {
  let timer, request;
  const read = async () => {
    request?.abort();
    request = new AbortController();
    const fields = new URLSearchParams(new FormData(form));
    fields.set("check", "1");
    const section = document.getElementById(form.dataset.reads);
    try {
      await replaceFrom(`${form.action}?${fields}`, section, request.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      tell(section, reason(error));
      if (error instanceof TypeError) timer = setTimeout(read, POLL_MS); // the service restarts
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(read, TYPING_MS);
  });
  // a short address: fields without text are left out
  form.addEventListener("submit", () => {
    for (const field of form.querySelectorAll("input, textarea")) field.disabled = !field.value;
  });
  addEventListener("pageshow", () => {
    for (const field of form.querySelectorAll("input, textarea")) field.disabled = false;
  });
}

/** Load a section that is slow to compute; without the script it has a link instead. */
async function load(section) {
  try {
    await replaceFrom(section.dataset.source, section);
  } catch {
    // the link stays
  }
}

/** Ask again for a section until it no longer says so. */
async function poll(section) {
  await new Promise((wake) => setTimeout(wake, POLL_MS));
  try {
    await replaceFrom(section.dataset.poll, section);
  } catch (error) {
    tell(section, reason(error));
    poll(section);
  }
}

/** Return why a section could not be read. Failed connections are TypeErrors. */
function reason(error) {
  return error instanceof TypeError ? "The service does not answer." : error.message;
}

/** Show a sentence at the end of a section, once. */
function tell(section, text) {
  const line = section.querySelector("p.told") ?? section.appendChild(document.createElement("p"));
  line.className = "told";
  line.setAttribute("role", "status");
  line.textContent = text;
}

function offerCopy(button) {
  button.hidden = !navigator.clipboard; // missing without TLS, except on this machine
  button.addEventListener("click", async () => {
    const code = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // the browser does not allow it: one key remains
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = "Copy"), 3000);
  });
}

/** Start what an element and its content ask for. */
function enliven(root) {
  const all = (selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  all("form[data-reads]").forEach(readWhileTyping);
  all("[data-source]").forEach(load);
  all("[data-poll]").forEach(poll);
  all("[data-copies]").forEach(offerCopy);
}

enliven(document);
