// The pages work without this. It counts the time down, and fetches a page again when something changed.
"use strict";

const SECOND = 1000;
const OVER = "no time";
// Ours is the clock that counts: the one of a phone may be minutes off.
const AHEAD = Date.now() - Date.parse(document.body.dataset.now || new Date().toISOString());

function words(until) {
  const seconds = Math.floor((Date.parse(until) - Date.now() + AHEAD) / SECOND);
  if (seconds <= 0) return OVER;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function count() {
  for (const time of document.querySelectorAll("time[data-until]")) {
    const text = words(time.dataset.until);
    if (time.textContent !== text) time.textContent = text;
    if (text === OVER && !time.dataset.asked) {
      time.dataset.asked = "yes";
      refresh().catch(() => {});
    }
  }
}

// Somebody who is typing keeps what they typed, as long as the question is open.
function isBusy(part, fresh) {
  const field = part.querySelector("textarea");
  return field !== null && fresh.querySelector("textarea") !== null && (field.value !== "" || part.contains(document.activeElement));
}

async function refresh() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (response.redirected) {
    location.reload();
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh !== null && !isBusy(part, fresh) && fresh.innerHTML !== part.innerHTML) part.innerHTML = fresh.innerHTML;
  }
  count();
}

function follow(url) {
  const events = new EventSource(url);
  events.addEventListener("changed", () => refresh().catch(() => {}));
  window.addEventListener("pagehide", () => events.close());
}

count();
setInterval(count, SECOND);
if (document.body.dataset.events) follow(document.body.dataset.events);
