// The page works without this file: every button is a form, and every answer a whole page. This fetches the same pages,
// puts their parts in place, lets rows glide to their new ranks, and keeps the focus where the hands are.

const find = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const said = find("said");
let waiting = Promise.resolve();
let searches = 0;
let pause = 0;

async function read(response) {
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function tell(text) {
  if (said) said.textContent = text;
}

function places() {
  return new Map([...document.querySelectorAll("[data-item]")].map((row) => [row.dataset.item, row.getBoundingClientRect().top]));
}

function glide(before) {
  if (calm.matches) return;
  for (const row of document.querySelectorAll("[data-item]")) {
    const top = before.get(row.dataset.item);
    const from = top === undefined ? { opacity: 0 } : { transform: `translateY(${top - row.getBoundingClientRect().top}px)` };
    row.animate([from, { opacity: 1, transform: "none" }], { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)" });
  }
}

function focused() {
  return document.activeElement?.dataset?.key;
}

function focusAgain(key) {
  if (!key || document.activeElement !== document.body) return;
  const same = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  (same ?? find("list-title")).focus({ preventScroll: Boolean(same) });
}

function replaceParts(fresh) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.getElementById(part.id);
    if (other) part.replaceChildren(...other.childNodes);
  }
}

async function send(form, fields) {
  const list = find("list");
  list.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "text/html" } });
    const fresh = await read(response);
    if (!response.ok) {
      tell([...fresh.querySelectorAll("[role=alert] p.lead, [role=alert] dd")].map((one) => one.textContent).join("; "));
      return;
    }
    const before = places();
    const key = focused();
    replaceParts(fresh);
    glide(before);
    focusAgain(key);
    tell(fresh.getElementById("said").textContent);
    history.replaceState(null, "", response.url);
  } catch {
    tell("The service did not answer. Press again: nothing is counted twice.");
  } finally {
    list.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-search]")) {
    event.preventDefault();
    void search(form);
  } else if (form.matches("[data-live]")) {
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    waiting = waiting.then(() => send(form, fields)); // one after the other, none lost
  }
});

async function search(form) {
  clearTimeout(pause);
  const mine = ++searches;
  const fields = new URLSearchParams(new FormData(form));
  try {
    const response = await fetch(`${form.dataset.search}?${fields}`);
    const fresh = await read(response);
    if (!response.ok || mine !== searches) return;
    const key = focused();
    find("hits").replaceChildren(...fresh.body.childNodes);
    focusAgain(key);
    find("tokens").querySelector("[name=find]").value = fields.get("find");
    const count = document.querySelectorAll("#hits li").length;
    tell(count === 1 ? "1 title found." : `${count} titles found.`);
  } catch {
    tell("The service did not answer. Search again.");
  }
}

document.addEventListener("keydown", (event) => {
  if (event.repeat && event.target.closest?.("button")) event.preventDefault(); // a key held down is one press
});

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("[data-search]");
  if (!form) return;
  clearTimeout(pause);
  pause = setTimeout(() => search(form), 250);
});
