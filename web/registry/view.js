// view.js - which view is painted first. What makes it work comes behind that, and until then it is inert.
document.documentElement.dataset.view = location.hash.length > 1 ? "list" : "home";
