// The colours chosen before the page is drawn, so that a dark page never flashes white. Not a module: modules wait.

(function () {
  'use strict';
  const choices = ['auto', 'light', 'dark'];
  const name = 'nuthatch-theme';

  function read() {
    try {
      const kept = localStorage.getItem(name);
      return choices.includes(kept) ? kept : 'auto';
    } catch {
      return 'auto';
    }
  }

  function apply(choice) {
    document.documentElement.dataset.theme = choice;
  }

  let current = read();
  apply(current);

  // Steps to the next choice and returns it.
  function next() {
    current = choices[(choices.indexOf(current) + 1) % choices.length];
    try {
      localStorage.setItem(name, current);
    } catch {
      // A browser that keeps nothing still changes its colours.
    }
    apply(current);
    return current;
  }

  window.nuthatchTheme = { next, current: () => current };
})();
