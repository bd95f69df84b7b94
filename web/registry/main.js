// main.js - which of the three views is shown: the address behind # is a list's id, or nothing
import { $, put } from "./page.js";
import { home } from "./home.js";
import { view } from "./list.js";
import { forget } from "./device.js";
// Named here, these are asked for at once and not each behind the one that needs it; preloaded by the
// page, all would be asked for before it is painted, which holds that up.
import "./live.js";
import "./numbers.js";
import "./clock.js";
import "./outbox.js";
import "./qr.js";

let leave = () => {};
let isFirst = true;

function show(name) {
  document.documentElement.dataset.view = name;
  $("content").inert = false;
  scrollTo(0, 0);
  // Who follows a link with the keyboard or hears the page goes on at its title.
  if (!isFirst) $(`${name}-title`).focus();
  isFirst = false;
}

function lost(why) {
  leave();
  leave = () => {};
  document.title = "No list here · Keepsake";
  put("lost-why", why);
  show("lost");
}

function route() {
  const id = location.hash.slice(1);
  leave();
  leave = () => {};
  if (!id) {
    home.enter();
    leave = home.leave;
    show("home");
  } else if (!/^[0-9a-f]{32}$/.test(id)) {
    lost("The link is not whole: what stands behind the # has to be 32 letters and digits. Copy it once more, from its beginning to its end.");
  } else {
    view.enter(id, () => {
      forget(id);
      lost("The link looks right, but this Keepsake has never had a list of that name. Perhaps it is from another computer.");
    });
    leave = view.leave;
    show("list");
  }
}

// The address behind # is taken, so this is not left to the browser.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("content").focus();
});
addEventListener("hashchange", route);
route();
