// Makes the pages quicker to work with. Everything here has a plain form or link behind it.
"use strict";

(() => {
  const MOST_ROWS = 200;
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy("harken", { createHTML: (html) => html })
    : { createHTML: (html) => html };

  // Only ever given rows that our own server rendered and escaped.
  function toElement(html) {
    const template = document.createElement("template");
    template.innerHTML = policy.createHTML(html);
    return template.content.firstElementChild;
  }

  function localTimes(root) {
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (!time.title) time.title = time.textContent;
      time.textContent = format.format(at);
    }
  }

  // One stream a page, closed while the page is hidden: browsers allow six connections to a host.
  function follow(address, handlers) {
    let source = null;
    let last = null;

    function open() {
      if (source || document.hidden) return;
      const url = new URL(address, window.location.href);
      if (last) url.searchParams.set("after", last);
      source = new EventSource(url);
      for (const [name, handle] of Object.entries(handlers)) {
        source.addEventListener(name, (event) => {
          if (event.lastEventId) last = event.lastEventId;
          handle(event.data ? JSON.parse(event.data) : null);
        });
      }
      source.addEventListener("mark", (event) => { last = event.lastEventId || last; });
      source.addEventListener("signed-out", () => window.location.reload());
      source.addEventListener("open", () => say(""));
      source.addEventListener("error", () => {
        say("Connection lost. Trying again.");
        // The browser comes back by itself after a cut, not after a refusal such as 503.
        if (source && source.readyState === EventSource.CLOSED) {
          shut();
          window.setTimeout(open, 5000);
        }
      });
    }

    function shut() {
      if (source) source.close();
      source = null;
    }

    document.addEventListener("visibilitychange", () => (document.hidden ? shut() : open()));
    window.addEventListener("pagehide", shut);
    window.addEventListener("pageshow", open);
    open();
  }

  function say(words) {
    const line = document.getElementById("live");
    if (!line) return;
    line.textContent = words;
    line.hidden = !words;
  }

  // A row that changes while somebody uses it keeps its open menus and the focus.
  function replaceRow(old, fresh) {
    for (const open of old.querySelectorAll("details[open]")) {
      const twin = fresh.querySelector(`details[data-head="${CSS.escape(open.dataset.head || "")}"]`);
      if (twin) twin.open = true;
    }
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const value = focused && focused.value;
    const head = focused && focused.closest("details") && focused.closest("details").dataset.head;
    old.replaceWith(fresh);
    if (!focused) return;
    const again = (value && fresh.querySelector(`button[value="${CSS.escape(value)}"]`))
      || (head && fresh.querySelector(`details[data-head="${CSS.escape(head)}"] > summary`))
      || fresh.querySelector("summary, a");
    if (again) again.focus({ preventScroll: true });
  }

  function feed(list) {
    const button = document.getElementById("fresh");
    const held = new Map();

    function place(id, at, html) {
      const row = toElement(html);
      localTimes(row);
      const old = document.getElementById(`post-${id}`);
      if (old) {
        replaceRow(old, row);
        return;
      }
      const rows = list.querySelectorAll(":scope > article");
      let next = null;
      for (const each of rows) {
        const there = Number(each.dataset.at);
        if (there < at || (there === at && Number(each.dataset.id) < id)) {
          next = each;
          break;
        }
      }
      // Older than the last row shown: it belongs to a later page.
      if (!next && rows.length && list.dataset.older) return;
      row.classList.add("is-new");
      list.insertBefore(row, next);
      const empty = document.getElementById("empty");
      if (empty) empty.remove();
      const now = list.querySelectorAll(":scope > article");
      for (let index = MOST_ROWS; index < now.length; index += 1) now[index].remove();
      if (now.length > MOST_ROWS) list.dataset.older = "yes";
    }

    function release() {
      for (const [id, { at, html }] of held) place(id, at, html);
      held.clear();
      button.hidden = true;
    }

    button.addEventListener("click", () => {
      release();
      window.scrollTo({ top: 0 });
    });

    follow(list.dataset.stream, {
      post: ({ id, at, html }) => {
        // Somebody who reads further down must not have the text move away.
        if (window.scrollY > 300 && !document.getElementById(`post-${id}`)) {
          held.set(id, { at, html });
          button.textContent = held.size === 1 ? "1 new post" : `${held.size} new posts`;
          button.hidden = false;
        } else {
          place(id, at, html);
        }
      },
      gone: ({ id }) => {
        held.delete(id);
        const row = document.getElementById(`post-${id}`);
        if (row) row.remove();
      },
      bye: () => say("Harken restarts. This page comes back by itself."),
    });
  }

  async function correct(event) {
    const button = event.target.closest('button[form="correct"]');
    if (!button) return;
    event.preventDefault();
    const form = document.getElementById("correct");
    const fields = new URLSearchParams(new FormData(form));
    fields.set(button.name, button.value);
    const row = button.closest("article");
    button.disabled = true;
    try {
      const answer = await fetch(button.formAction, { method: "POST", body: fields, headers: { "X-Fragment": "1" } });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const fresh = toElement(await answer.text());
      localTimes(fresh);
      for (const open of row.querySelectorAll("details[open]")) open.open = false;
      replaceRow(row, fresh);
    } catch {
      // Let the form go its plain way: the server's page says what is wrong.
      button.disabled = false;
      form.requestSubmit(button);
    }
  }

  function counter(form) {
    const output = form.querySelector("output.count");
    const area = form.querySelector("textarea");
    if (!output || !area) return;
    let timer = 0;
    let asked = 0;
    area.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(async () => {
        const mine = (asked += 1);
        const fields = new URLSearchParams({
          csrf: form.elements.namedItem("csrf").value,
          source: output.dataset.source,
          text: area.value,
        });
        const answer = await fetch("/length", { method: "POST", body: fields });
        if (!answer.ok || mine !== asked) return;
        const { used, limit } = await answer.json();
        output.textContent = limit === null ? "" : `${used} of ${limit}`;
        output.classList.toggle("over", limit !== null && used > limit);
      }, 200);
    });
  }

  // A file is read into the field that it stands for; without JavaScript the field is filled by hand.
  function fileInto(label) {
    const area = label.closest("form").elements.namedItem(label.dataset.file);
    label.hidden = false;
    label.querySelector("input").addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (file) area.value = await file.text();
    });
  }

  localTimes(document);
  document.addEventListener("click", correct);
  for (const label of document.querySelectorAll("label[data-file]")) fileInto(label);
  for (const form of document.querySelectorAll("form")) counter(form);
  for (const form of document.querySelectorAll("form.filters")) {
    form.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
    });
    // Leave empty fields out of the address.
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
    });
  }
  const list = document.getElementById("feed");
  if (list && list.dataset.stream) feed(list);
  const changed = document.getElementById("changed");
  if (changed) follow(changed.dataset.stream, { case: () => { changed.hidden = false; }, bye: () => {} });
})();
