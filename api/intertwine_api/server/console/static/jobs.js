// The script of the pages of jobs. It fetches the page again when the job has news, and shows what
// has changed. Pages work without it: they reload, or have to be reloaded.

const PAUSE_MS = 2000; // the least between two refreshes
const RETRY_MS = 2000;

const FINAL = [401, 403, 404]; // the session has ended, or the job was deleted

let running = false; // a refresh
let isStale = false; // something has happened since it began

/** Fetch the page again, and show what has changed; at most once in two seconds. */
async function refresh() {
  isStale = true;
  if (running) return;
  running = true;
  while (isStale && !document.hidden) {
    isStale = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (FINAL.includes(answer.status)) {
        showRefusal(page);
        return;
      }
      if (!answer.ok) throw new Error(`The service answers with ${answer.status}.`);
      await show(page);
      tell("");
    } catch (error) {
      isStale = true;
      const why = error instanceof TypeError ? "The service does not answer." : error.message;
      tell(`${why} The page tries again.`);
    }
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
  }
  running = false;
}

/** Show a refusal in place of the page, and follow the job no longer. */
function showRefusal(page) {
  clearTimeout(timer);
  source?.close();
  document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
}

/** Show the parts of a newer version of the page that differ. */
async function show(page) {
  await Promise.allSettled([...page.images].map(loaded)); // so that pictures do not flicker
  document.title = page.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || fresh.innerHTML === part.innerHTML) continue;
    part.replaceChildren(...document.importNode(fresh, true).childNodes);
    showEnd(part);
  }
  for (const name of ["follow", "refresh"]) {
    const part = document.querySelector(`[data-${name}]`);
    if (!part) continue;
    const fresh = page.querySelector(`[data-${name}]`);
    if (fresh) part.dataset[name] = fresh.dataset[name];
    else delete part.dataset[name];
  }
}

function loaded(image) {
  const known = [...document.images].some((each) => each.src === image.src);
  if (known) return Promise.resolve();
  const copy = new Image();
  copy.src = image.src;
  return copy.decode();
}

/** Scroll logs in an element to their last line. */
function showEnd(part) {
  for (const log of part.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
}

/** Show a sentence about the connection above the page; none for an empty text. */
function tell(text) {
  let line = document.getElementById("connection");
  if (!line && !text) return;
  if (!line) {
    line = document.createElement("p");
    line.id = "connection";
    line.setAttribute("role", "status");
    document.querySelector("main").prepend(line);
  }
  if (line.textContent !== text) line.textContent = text;
}

let source, timer;

/** Follow the events of the page's job until it has ended. */
function follow() {
  clearTimeout(timer);
  source?.close();
  const address = document.querySelector("[data-follow]")?.dataset.follow;
  if (!address || document.hidden) return; // a hidden page keeps no connection
  source = new EventSource(address);
  for (const type of ["state", "progress", "metrics", "end"]) source.addEventListener(type, refresh);
  source.addEventListener("open", refresh);
  source.addEventListener("end", () => source.close());
  source.addEventListener("error", () => {
    source.close();
    refresh();
    timer = setTimeout(follow, RETRY_MS);
  });
}

/** Refresh a page of several jobs every few seconds until all have ended. */
function repeat() {
  const seconds = document.querySelector("[data-refresh]")?.dataset.refresh;
  if (!seconds) return;
  setTimeout(async () => {
    if (!document.hidden) await refresh();
    repeat();
  }, 1000 * seconds);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) source?.close();
  else if (document.querySelector("[data-follow], [data-refresh]")) {
    refresh();
    follow();
  }
});
showEnd(document);
follow();
repeat();
