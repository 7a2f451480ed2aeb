// What the report can do beyond text: a theme, tables that sort and filter, folds that open for
// links and for paper. Without it the page is complete, only still.
(() => {
  'use strict';
  const root = document.documentElement;
  const THEME = 'slim-report-theme';
  const NOTHING = '–';
  const ROWS_TO_FILTER = 20;
  const ROWS_AT_ONCE = 500;

  // ---- Theme: the system's, until the button says otherwise. ----
  const darkScreen = matchMedia('(prefers-color-scheme: dark)');
  const systemTheme = () => (darkScreen.matches ? 'dark' : 'light');
  const theme = () => root.dataset.theme ?? systemTheme();
  // A browser may refuse to remember anything for a file.
  const remembered = (action) => {
    try { return action(localStorage); } catch { return null; }
  };
  const chosen = remembered((storage) => storage.getItem(THEME));
  if (chosen === 'light' || chosen === 'dark') root.dataset.theme = chosen;

  const addThemeButton = () => {
    const button = document.createElement('button');
    button.type = 'button';
    button.id = 'Theme';
    button.textContent = 'Dark theme';
    const show = () => button.setAttribute('aria-pressed', String(theme() === 'dark'));
    button.addEventListener('click', () => {
      const wanted = theme() === 'dark' ? 'light' : 'dark';
      if (wanted === systemTheme()) {
        delete root.dataset.theme;
        remembered((storage) => storage.removeItem(THEME));
      } else {
        root.dataset.theme = wanted;
        remembered((storage) => storage.setItem(THEME, wanted));
      }
      show();
    });
    darkScreen.addEventListener('change', show);
    show();
    document.querySelector('.bar').append(button);
  };

  // ---- Sorting. A key is [kind, number, text]; numbers before words before nothing. ----
  const NUMBER = /^(<?)\s*(?:\p{L}{1,3}=)?\[?\s*([+\-−]?(?:\d+\.?\d*|\.\d+)(?:e[+\-−]?\d+)?)(?=$|[\s%×/,;)\]([])/iu;
  const FRACTION = /^(\d+)\s*\/\s*(\d+)$/;
  const words = new Intl.Collator('en', { numeric: true });
  const keyOf = (cell) => {
    const text = cell === undefined ? '' : cell.textContent.trim();
    if (text === '' || text === NOTHING) return [2, 0, ''];
    // Ids look like numbers by chance.
    if (cell.querySelector('code')) return [1, 0, text];
    const fraction = FRACTION.exec(text);
    if (fraction) return [0, fraction[1] / fraction[2], text];
    const number = NUMBER.exec(text);
    if (!number) return [1, 0, text];
    const value = Number(number[2].replaceAll('−', '-'));
    // `< 0.001` comes before 0.001 itself.
    return [0, number[1] ? value - Math.abs(value) * 1e-9 : value, text];
  };
  const compare = (a, b, sign) =>
    a[0] - b[0] || sign * (a[1] - b[1]) || sign * words.compare(a[2], b[2]);

  /** Gives every column's header a button; `reorder` takes the rows in their new order. */
  const makeSortable = (table, reorder) => {
    const original = [...table.tBodies[0].rows];
    const headers = [...table.tHead.rows[0].cells];
    const sorted = (column, direction) => {
      if (direction === null) return original;
      const sign = direction === 'ascending' ? 1 : -1;
      const keyed = original.map((row) => [keyOf(row.cells[column]), row]);
      keyed.sort(([a], [b]) => compare(a, b, sign));
      return keyed.map(([, row]) => row);
    };
    headers.forEach((header, column) => {
      if (header.tagName !== 'TH') return;
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener('click', () => {
        const next = { ascending: 'descending', descending: null };
        const now = header.getAttribute('aria-sort');
        const direction = now === null ? 'ascending' : next[now];
        for (const other of headers) other.removeAttribute('aria-sort');
        if (direction !== null) header.setAttribute('aria-sort', direction);
        reorder(sorted(column, direction));
      });
    });
  };

  // ---- Tables: sorted, and long ones filtered (rows that hold every word, wherever) and shown in part,
  // for a browser lays out ten thousand rows in seconds. ----
  const tables = new Map();
  const makeTable = (box) => {
    const table = box.querySelector('table');
    const body = table.tBodies[0];
    let order = [...body.rows];
    const n = order.length;
    let show = () => {};
    makeSortable(table, (rows) => {
      order = rows;
      body.replaceChildren(...rows);
      show();
    });
    if (n <= ROWS_TO_FILTER) return;

    const tools = document.createElement('div');
    tools.className = 'tools';
    const input = document.createElement('input');
    input.type = 'search';
    input.placeholder = 'Filter rows';
    input.setAttribute('aria-label', `Filter rows: ${box.getAttribute('aria-label')}`);
    const count = document.createElement('output');
    const more = document.createElement('button');
    more.type = 'button';
    more.textContent = 'Show all';
    let limit = ROWS_AT_ONCE;
    let texts = null;
    show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const textOf = (row) => [...row.cells].map((cell) => cell.textContent).join(' ').toLowerCase();
      if (words.length > 0) texts ??= new Map(order.map((row) => [row, textOf(row)]));
      let matching = 0;
      for (const row of order) {
        const holds = words.every((word) => texts.get(row).includes(word));
        matching += holds ? 1 : 0;
        row.hidden = !holds || matching > limit;
      }
      const shown = Math.min(matching, limit);
      count.textContent = shown === n ? `${n} rows` : `${shown} of ${n} rows`;
      more.hidden = matching <= limit;
    };
    const upTo = (rows) => {
      limit = rows;
      show();
    };
    input.addEventListener('input', show);
    more.addEventListener('click', () => upTo(Infinity));
    show();
    tools.append(input, count, more);
    box.before(tools);
    const everything = () => {
      input.value = '';
      upTo(Infinity);
    };
    tables.set(box, { everything, upTo, limit: () => limit });
  };

  // ---- Links into what is folded away or filtered out. ----
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target === null) return;
    for (let fold = target.closest('details'); fold; fold = fold.parentElement.closest('details')) {
      fold.open = true;
    }
    if (target.closest('tr')?.hidden) tables.get(target.closest('.table')).everything();
    document.querySelector('tr.here')?.classList.remove('here');
    target.closest('tr')?.classList.add('here');
    target.scrollIntoView({ block: target.closest('tr') ? 'center' : 'start' });
  };

  // ---- Paper: everything open, and as before afterwards. ----
  const openForPaper = () => {
    let opened = [];
    let limits = [];
    matchMedia('print').addEventListener('change', ({ matches }) => {
      if (matches) {
        opened = [...document.querySelectorAll('main details:not([open])')];
        limits = [...tables.values()].map((table) => [table, table.limit()]);
        for (const [table] of limits) table.upTo(Infinity);
        for (const fold of opened) fold.open = true;
      } else {
        for (const fold of opened) fold.open = false;
        for (const [table, limit] of limits) table.upTo(limit);
      }
    });
  };

  // ---- Contents: folded on a narrow screen; marks the section that is being read. ----
  const followContents = () => {
    const contents = document.querySelector('nav details');
    if (contents === null) return;
    const links = new Map();
    for (const link of contents.querySelectorAll('a')) links.set(link.getAttribute('href').slice(1), link);
    contents.addEventListener('click', ({ target }) => {
      if (target.closest('a') && !wide.matches) contents.open = false;
    });
    const wide = matchMedia('(min-width: 72rem)');
    if (!wide.matches) contents.open = false;
    wide.addEventListener('change', () => { contents.open = wide.matches; });
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        contents.querySelector('[aria-current]')?.removeAttribute('aria-current');
        // Where the link is folded away, the one above the fold stands for it.
        const link = links.get(entry.target.id);
        const fold = link?.closest('.more:not([open])');
        (fold?.parentElement.querySelector('a') ?? link)?.setAttribute('aria-current', 'true');
      }
    }, { rootMargin: '-10% 0px -75% 0px' });
    for (const heading of document.querySelectorAll('main h2, main h3')) observer.observe(heading);
  };

  document.addEventListener('DOMContentLoaded', () => {
    addThemeButton();
    for (const box of document.querySelectorAll('.table')) makeTable(box);
    openForPaper();
    followContents();
    addEventListener('hashchange', reveal);
    if (location.hash !== '') reveal();
  });
})();
