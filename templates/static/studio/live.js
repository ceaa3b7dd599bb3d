// Keeps elements with data-live fresh: fetches the address and puts the answer in, while the page is seen.
"use strict";
for (const box of document.querySelectorAll("[data-live]")) {
    const pause = Number(box.dataset.liveSeconds || 5) * 1000;
    const mark = (state) => box.querySelectorAll(".live").forEach((el) => { el.dataset.state = state; });
    const refresh = async () => {
        // A reader who has opened a table, or whose focus is inside, must not lose the place.
        if (document.hidden || box.querySelector("details[open]") || box.contains(document.activeElement)) { return; }
        try {
            const answer = await fetch(box.dataset.live, { headers: { Accept: "text/html" }, credentials: "same-origin" });
            if (!answer.ok || answer.redirected) { throw new Error(String(answer.status)); }
            box.innerHTML = await answer.text();
        } catch {
            mark("stale");
        }
    };
    setInterval(refresh, pause);
}
