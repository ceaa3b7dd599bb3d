// The storefront's own script: remembers what this browser did, tells the server, and fills the shelves
// with what the server decides. Everything from the network goes into the page as text, never as markup.

const page = document.body.dataset;
const $ = (selector, root = document) => root.querySelector(selector);
const PREFIX = "lark-v-";
const RECENT = 20;
const POLICY = "1";

// --- What this browser keeps ---------------------------------------------------------------------

const memory = new Map();
const store = {
  get(key, fallback) {
    try {
      const text = localStorage.getItem(`shop.${key}`);
      return text === null ? fallback : JSON.parse(text);
    } catch {
      return memory.has(key) ? memory.get(key) : fallback;
    }
  },
  set(key, value) {
    memory.set(key, value);
    try {
      localStorage.setItem(`shop.${key}`, JSON.stringify(value));
    } catch {
      // Private mode or a full disk: the page still works, it just forgets.
    }
  },
};

function anonymousId() {
  let id = store.get("anonymousId", "");
  if (!id) {
    id = PREFIX + Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
    store.set("anonymousId", id);
  }
  return id;
}

const who = () => {
  const user = store.get("user", null);
  const ids = { anonymousId: anonymousId() };
  return user ? { ...ids, userId: user.userId, userToken: user.userToken } : ids;
};

// What the server said is in force for whoever sits here; before it has said so, nothing is.
const may = (purpose) => store.get("consent", null)?.[purpose] ?? false;

// --- Talking to the server -----------------------------------------------------------------------

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { Authorization: `Bearer ${page.key}`, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
    // Events outlive the page that sends them.
    keepalive: path === "/v1/batch",
  });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

let queue = store.get("queue", []);
let sending = null;

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function track(event, properties = {}, item = properties.product_id) {
  const at = new Date().toISOString();
  if (item && may("personalization") && event.startsWith("Product ")) {
    store.set("recent", [{ event, item, at }, ...store.get("recent", [])].slice(0, RECENT));
  }
  queue.push({ type: "track", event, messageId: newId(), timestamp: at, properties, ...who() });
  queue = queue.slice(-200);
  store.set("queue", queue);
  clearTimeout(sending);
  sending = setTimeout(flush, 150);
}

let flushing = null;
let travelling = new Set();

// One call at a time; whoever asks meanwhile waits for it.
function flush() {
  flushing ??= sendQueue().finally(() => { flushing = null; });
  return flushing;
}

async function sendQueue() {
  while (queue.length && page.key) {
    const batch = queue.slice(0, 50);
    travelling = new Set(batch);
    try {
      await call("POST", "/v1/batch", { batch, context: context(), sentAt: new Date().toISOString() });
    } catch {
      return; // Kept, and sent with the next event or page: message ids make a second arrival harmless.
    } finally {
      travelling = new Set();
    }
    drop(batch);
  }
}

function drop(events) {
  const gone = new Set(events.map((event) => event.messageId));
  queue = queue.filter((event) => !gone.has(event.messageId));
  store.set("queue", queue);
}

// The page goes away: a beacon cannot set headers, so the key travels in the body. What the browser takes it delivers
// without an answer that anybody could wait for: that counts as sent, or each click would come twice. What it does not
// take, and what was on its way without an answer yet, the next page sends.
addEventListener("pagehide", () => {
  const waiting = queue.filter((event) => !travelling.has(event)).slice(0, 50);
  if (!waiting.length || !page.key || !navigator.onLine) return;
  const body = { batch: waiting, context: context(), writeKey: page.key, sentAt: new Date().toISOString() };
  if (navigator.sendBeacon("/v1/batch", new Blob([JSON.stringify(body)], { type: "text/plain" }))) drop(waiting);
});

// Back again from the browser's memory: other pages have sent meanwhile.
addEventListener("pageshow", (event) => {
  if (event.persisted) queue = store.get("queue", []);
});

function context() {
  return {
    page: { path: location.pathname, title: document.title, referrer: document.referrer },
    device: { type: matchMedia("(max-width: 42rem)").matches ? "mobile" : "desktop" },
    locale: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}

// --- Shelves -------------------------------------------------------------------------------------

const cart = () => store.get("cart", []);

let deciding = 0;

async function decide() {
  const every = [...document.querySelectorAll("[data-placement]")];
  for (const shelf of every) {
    // Nothing goes well with nothing.
    shelf.hidden = shelf.dataset.placement === "cart.complements" && !cart().length;
    if (shelf.hidden) shelf.setAttribute("aria-busy", "false");
  }
  const shelves = every.filter((shelf) => !shelf.hidden);
  const mine = ++deciding;
  for (const shelf of shelves) shelf.setAttribute("aria-busy", "true");
  await fill(shelves, () => mine === deciding);
  if (mine === deciding) for (const shelf of shelves) shelf.setAttribute("aria-busy", "false");
}

// Asks and shows; an answer that a newer question has overtaken is dropped.
async function fill(shelves, current) {
  const hero = $("[data-content]");
  const placements = shelves.map((shelf) => ask(shelf.dataset.placement));
  if (hero) placements.push(hero.dataset.content);
  if (!placements.length || !page.key) return;
  let answer;
  try {
    answer = await call("POST", "/v1/decide", {
      ...who(),
      context: { ...context(), cart: cart().map((line) => line.id), recent: may("personalization") ? store.get("recent", []) : [] },
      placements,
      // No product on two shelves of one page.
      deduplicate: true,
    });
  } catch {
    return; // The page stands without shelves.
  }
  const wanted = shelves.flatMap((shelf) => items(answer, shelf.dataset.placement).map((item) => item.id));
  const details = wanted.length ? await products(wanted) : {};
  if (!current()) return;
  for (const shelf of shelves) show(shelf, answer.placements[shelf.dataset.placement], details);
  if (hero) showHero(hero, answer.placements[hero.dataset.content]);
}

function ask(key) {
  if (key === "product.similar") return { key, item: page.item };
  if (key === "home.recommended" && page.item) return { key, exclude: [page.item] };
  return { key };
}

const items = (answer, key) => answer.placements[key]?.items ?? [];

async function products(ids) {
  const answer = await fetch(`/shop/products.json?ids=${[...new Set(ids)].map(encodeURIComponent).join(",")}`);
  return answer.ok ? answer.json() : {};
}

function show(shelf, placement, details) {
  const list = $(".cards", shelf);
  const known = (placement?.items ?? []).filter((item) => details[item.id]);
  const token = placement?.token;
  list.replaceChildren(...known.map((item) => card(item.id, details[item.id], item.reason, () => {
    if (token) track("Decision Clicked", { token, item: item.id, placement: shelf.dataset.placement }, null);
  })));
  const heading = $("h2", shelf);
  heading.textContent = placement?.reason === "personal" ? heading.dataset.personal : heading.dataset.general;
  shelf.dataset.shown = known.map((item) => item.id).join(",");
  $(".empty", shelf).hidden = known.length > 0;
  if (token && known.length) {
    // The shown list as the answer gave it: its digest is part of the token.
    const shown = placement.items.map((item) => ({ id: item.id, source: item.source }));
    track("Decision Exposed", { token, items: shown, placement: shelf.dataset.placement }, null);
  }
}

function card(id, product, why, clicked) {
  const node = $("#card-template").content.firstElementChild.cloneNode(true);
  const link = $("a", node);
  link.href = `/shop/p/${encodeURIComponent(id)}/`;
  $("img", node).src = `/shop/tile/${encodeURIComponent(id)}.svg`;
  $(".title", node).textContent = product.title;
  $(".maker", node).textContent = product.brand;
  $(".price", node).textContent = product.price;
  $(".why", node).textContent = why ?? "";
  if (clicked) link.addEventListener("click", clicked);
  return node;
}

function showHero(hero, placement) {
  const content = placement?.content;
  if (!content?.heading) return;
  $(".heading", hero).textContent = content.heading;
  $(".text", hero).textContent = content.text ?? "";
  const link = $("a", hero);
  if (typeof content.link === "string" && content.link.startsWith("/") && !content.link.startsWith("//")) link.href = content.link;
  link.textContent = content.label ?? "Look";
  const token = placement.token;
  if (!token) return;
  track("Decision Exposed", { token, placement: hero.dataset.content }, null);
  link.onclick = () => track("Decision Clicked", { token, placement: hero.dataset.content }, null);
}

// --- Pages ---------------------------------------------------------------------------------------

async function seen() {
  const shelf = $("#seen-shelf");
  if (!shelf) return;
  const actions = may("personalization") ? store.get("recent", []) : [];
  const ids = [...new Set(actions.map((event) => event.item))].slice(0, 8);
  const details = ids.length ? await products(ids) : {};
  const known = ids.filter((id) => details[id]);
  $(".cards", shelf).replaceChildren(...known.map((id) => card(id, details[id], "")));
  shelf.hidden = known.length === 0;
}

function countCart() {
  $("#cart-count").textContent = String(cart().reduce((sum, line) => sum + line.quantity, 0));
}

function put(id, quantity) {
  const lines = cart().filter((line) => line.id !== id);
  const old = cart().find((line) => line.id === id);
  const left = (old?.quantity ?? 0) + quantity;
  store.set("cart", left > 0 ? [...lines, { id, quantity: left }] : lines);
  countCart();
}

const asLine = (line, product) => ({ product_id: line.id, quantity: line.quantity, price: product.amount, currency: product.currency });

async function showCart() {
  const lines = cart();
  const details = lines.length ? await products(lines.map((line) => line.id)) : {};
  const known = lines.filter((line) => details[line.id]);
  $("#lines").replaceChildren(...known.map((line) => cartLine(line, details[line.id])));
  $("#cart-empty").hidden = known.length > 0;
  $("#cart-end").hidden = known.length === 0;
  const total = known.reduce((sum, line) => sum + line.quantity * details[line.id].amount, 0);
  $("#cart-total").textContent = known.length ? `${total.toFixed(2)} ${details[known[0].id].currency}` : "";
  return { lines: known.map((line) => asLine(line, details[line.id])), total: Math.round(total * 100) / 100 };
}

function cartLine(line, product) {
  const row = document.createElement("li");
  const image = Object.assign(document.createElement("img"), { alt: "", src: `/shop/tile/${encodeURIComponent(line.id)}.svg` });
  const name = Object.assign(document.createElement("a"), { className: "grow", href: `/shop/p/${encodeURIComponent(line.id)}/` });
  name.textContent = `${product.title} × ${line.quantity}`;
  const price = Object.assign(document.createElement("span"), { className: "price" });
  price.textContent = product.price;
  const remove = Object.assign(document.createElement("button"), { type: "button", className: "plain" });
  remove.textContent = "Remove";
  remove.setAttribute("aria-label", `Remove ${product.title}`);
  remove.addEventListener("click", async () => {
    put(line.id, -line.quantity);
    track("Product Removed", asLine(line, product));
    await showCart();
    decide();
  });
  row.append(image, name, price, remove);
  return row;
}

const pages = {
  product() {
    track("Product Viewed", { product_id: page.item });
    const arrived = Date.now();
    addEventListener("pagehide", () => {
      const seconds = Math.min(Math.round((Date.now() - arrived) / 1000), 86_400);
      if (seconds >= 5) track("Product Dwelled", { product_id: page.item, seconds }, null);
    }, { capture: true });
    $("#add")?.addEventListener("click", (event) => {
      put(page.item, 1);
      track("Product Added", { product_id: page.item, quantity: 1, price: Number(event.target.dataset.amount), currency: page.currency });
      toast("It is in your cart.");
      decide();
    });
  },
  category() {
    track("Product List Viewed", { list_id: page.category, category: page.category });
  },
  search() {
    if (page.query) track("Products Searched", { query: page.query, results: Number($("[data-results]").dataset.results) });
  },
  async cart() {
    const shown = await showCart();
    track("Cart Viewed", { value: shown.total, products: shown.lines });
    $("#order").addEventListener("click", async () => {
      const { lines, total } = await showCart();
      if (!lines.length) return;
      track("Order Completed", { order_id: `lark-v-${newId()}`, total, currency: lines[0].currency, products: lines });
      store.set("cart", []);
      countCart();
      await showCart();
      toast("Thank you. Nothing will be sent.");
      decide();
    });
  },
  home() {},
};

function toast(text) {
  const node = $("#toast");
  node.textContent = text;
  node.classList.add("on");
  setTimeout(() => node.classList.remove("on"), 2500);
}

// --- Log in as a customer of the demo ------------------------------------------------------------

$("#persona").addEventListener("change", async (event) => {
  await flush();
  const user = event.target.value;
  if (!user) {
    await become(null);
    return;
  }
  const body = new FormData();
  body.set("user", user);
  const answer = await fetch("/shop/login/", {
    method: "POST",
    headers: { "X-CSRFToken": $("input[name=csrfmiddlewaretoken]").value },
    body,
  });
  if (!answer.ok) {
    toast("That did not work.");
    return;
  }
  const token = await answer.json();
  toast(`You are ${token.name}.`);
  await become(token);
});

// Somebody else sits here now, null: a new visitor. What the one before did, looked at and put into the cart is not
// theirs, nor is the id: the demo switches people, it does not merge them.
async function become(user) {
  store.set("user", user);
  store.set("anonymousId", "");
  store.set("recent", []);
  store.set("cart", []);
  store.set("consent", null);
  countCart();
  if (page.page === "cart") await showCart();
  await learnConsent();
  seen();
  decide();
}

// --- Consent -------------------------------------------------------------------------------------

const PURPOSES = ["analytics", "personalization", "marketing"];

// The server alone knows what holds: the purposes' defaults, the answer given here or elsewhere, the browser's signal.
// True once it has told.
async function learnConsent() {
  const asked = who();
  try {
    holds(asked, await call("GET", `/v1/consent?${new URLSearchParams(asked)}`));
    return true;
  } catch {
    return false;
  }
}

// Boxes show what is in force; who has not answered yet is asked.
function holds(asked, { purposes, stated }) {
  // Somebody else sits here by now.
  if (asked.anonymousId !== anonymousId()) return;
  store.set("consent", purposes);
  if (!may("personalization")) store.set("recent", []);
  for (const purpose of PURPOSES) $(`#consent-form [name=${purpose}]`).checked = may(purpose);
  $("#consent").hidden = Object.keys(stated).length > 0;
}

$("#consent-open").addEventListener("click", async () => {
  const known = await learnConsent();
  $("#consent-error").textContent = known ? "" : "What holds now could not be read. Please try again.";
  $("#consent").hidden = false;
  $("#consent-form input").focus();
});

$("#consent-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = event.submitter?.value ?? "some";
  const purposes = Object.fromEntries(PURPOSES.map((purpose) => [
    purpose, answer === "all" || (answer === "some" && $(`#consent-form [name=${purpose}]`).checked),
  ]));
  const asked = who();
  try {
    holds(asked, await call("POST", "/v1/consent", { ...asked, purposes, source: "banner", policyVersion: POLICY }));
  } catch {
    $("#consent-error").textContent = "Your choice could not be saved. Please try again.";
    return;
  }
  $("#consent-error").textContent = "";
  seen();
  decide();
});

// --- While the demo is being filled --------------------------------------------------------------

async function watchFilling(wasReady) {
  let now;
  try {
    now = await (await fetch("/shop/progress.json")).json();
  } catch {
    setTimeout(() => watchFilling(wasReady), 5000);
    return;
  }
  $("#filling-share").textContent = ` (${Math.round(now.share * 100)} %)`;
  if (now.ready && !wasReady) decide();
  if (!now.stage) {
    $("#filling").hidden = true;
    decide();
    return;
  }
  setTimeout(() => watchFilling(now.ready), 2000);
}

// --- Begin ---------------------------------------------------------------------------------------

$("#persona").value = store.get("user", null)?.userId ?? "";
countCart();
await learnConsent();
await pages[page.page]?.();
seen();
await decide();
if (page.filling) watchFilling(false);
flush();
document.body.dataset.loaded = "yes";
