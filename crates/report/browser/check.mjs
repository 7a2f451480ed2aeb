// Opens a report in headless Chromium and proves what a reader relies on; `cargo xtask check page`
// runs it. Arguments: the HTML file and the folder for screenshots. CHROMIUM names the browser.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 400, height: 800 };
/** What a page may take until its text is there and it answers, in milliseconds. */
const OPENS_WITHIN_MS = 5000;
/** Paper, ink and the shades between them at the edges of letters. */
const FEWEST_COLOURS = 8;

const [file, folder] = process.argv.slice(2);
if (!file || !folder) throw new Error('usage: check.mjs FILE.html FOLDER');
const html = resolve(file);
const address = pathToFileURL(html).href;
mkdirSync(folder, { recursive: true });

const faults = [];
/** Notes a fault unless `holds`. */
const expect = (holds, fault) => {
  if (!holds) faults.push(fault);
};
const same = (a, b) => a.length === b.length && a.every((one, index) => one === b[index]);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
});

/** A page that tells of every error and of every request but the one for itself. */
const open = async (options) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
  page.on('requestfailed', (request) => faults.push(`request failed: ${request.url()}`));
  page.on('request', (request) => {
    expect(request.url().split('#')[0] === address, `the page asks for ${request.url()}`);
  });
  const begun = performance.now();
  await page.goto(address);
  await page.evaluate(() => new Promise(requestAnimationFrame));
  const took = performance.now() - begun;
  expect(took < OPENS_WITHIN_MS, `opening takes ${took.toFixed(0)} ms`);
  return { page, context, took };
};

const screenshot = (page, name, fullPage = false) =>
  page.screenshot({ path: join(folder, `${name}.png`), fullPage });
const style = (page, selector, property) =>
  page.$eval(selector, (node, name) => getComputedStyle(node)[name], property);
const background = (page) => style(page, 'body', 'backgroundColor');
/** The colour of the first text of the first picture; null without pictures. */
const ink = async (page) => {
  const text = await page.$('figure svg text');
  return text && text.evaluate((node) => getComputedStyle(node).fill);
};
const column = (table, index) =>
  table.evaluate(
    (node, at) => [...node.tBodies[0].rows].map((row) => row.cells[at].textContent.trim()),
    index,
  );

const countClosed = (page) => page.$$eval('main details:not([open])', (nodes) => nodes.length);
/** How many folds are closed once they are `wanted`, or after patience. */
const settle = async (page, wanted) => {
  for (let times = 0; times < 50 && (await countClosed(page)) !== wanted; times += 1) {
    await page.waitForTimeout(100);
  }
  return countClosed(page);
};

/** Every picture is there, of some size, and more than one colour. */
const checkFigures = async (page) => {
  const figures = await page.$$('figure');
  for (const figure of figures) {
    const id = await figure.evaluate((node) => node.id);
    const svg = await figure.$('svg');
    expect(svg !== null, `${id}: no picture in its figure`);
    if (svg === null) continue;
    await svg.scrollIntoViewIfNeeded();
    const box = await svg.boundingBox();
    expect(box !== null && box.width > 200 && box.height > 60, `${id}: ${JSON.stringify(box)}`);
    const png = (await svg.screenshot()).toString('base64');
    const n = await decode(png);
    expect(n >= FEWEST_COLOURS, `${id}: its picture has ${n} colours`);
    const caption = await figure.$eval('figcaption', (node) => node.textContent).catch(() => '');
    expect(caption.trim() !== '', `${id}: no caption`);
  }
  return figures.length;
};

/** How many colours a PNG has; another page reads it, for the report's own policy forbids images. */
const reader = await (await browser.newContext()).newPage();
const decode = (png) =>
  reader.evaluate(async (text) => {
    const blob = await (await fetch(`data:image/png;base64,${text}`)).blob();
    const image = await createImageBitmap(blob);
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    // Without the frame that the page draws around it.
    const [edge, width, height] = [6, image.width - 12, image.height - 12];
    const pixels = new Uint32Array(pen.getImageData(edge, edge, width, height).data.buffer);
    return new Set(pixels).size;
  }, png);

/** The numbers that a column sorts by, where all of it are plain ones. */
const plainNumber = (text) => (/^[+-]?\d+(\.\d+)?(e-?\d+)?( %)?$/.test(text) ? parseFloat(text) : null);

/** Clicking a header: ascending, descending, as before; numbers by size. */
const checkSorting = async (page) => {
  let numeric = 0;
  const tables = await page.$$('main table');
  for (const table of tables.slice(0, 40)) {
    const labels = await table.$$eval('thead tr > *', (cells) => cells.map((cell) => cell.textContent));
    for (const [index, label] of labels.entries()) {
      const before = await column(table, index);
      const present = before.filter((text) => text !== '' && text !== '–');
      const header = (await table.$$('thead tr > *'))[index];
      if (new Set(present).size < 2 || (await header.$('button')) === null) continue;
      const click = () => header.$eval('button', (button) => button.click());
      const sortedBy = () => header.getAttribute('aria-sort');
      await click();
      const up = await column(table, index);
      expect((await sortedBy()) === 'ascending', `column ${label}: aria-sort after one click`);
      await click();
      const down = await column(table, index);
      expect((await sortedBy()) === 'descending', `column ${label}: aria-sort after two clicks`);
      await click();
      expect((await sortedBy()) === null, `column ${label}: aria-sort after three clicks`);
      expect(same(before, await column(table, index)), `column ${label}: the third click`);
      const filled = (texts) => texts.filter((text) => text !== '' && text !== '–');
      for (const [texts, way] of [[up, 'ascending'], [down, 'descending']]) {
        expect(same(filled(texts), texts.slice(0, present.length)), `${label}: – is not last, ${way}`);
      }
      const numbers = present.map(plainNumber);
      if (numbers.includes(null)) continue;
      numeric += 1;
      const ascending = [...numbers].sort((a, b) => a - b);
      expect(same(filled(up).map(plainNumber), ascending), `column ${label} does not ascend: ${filled(up)}`);
      expect(
        same(filled(down).map(plainNumber), ascending.toReversed()),
        `column ${label} does not descend: ${filled(down)}`,
      );
      if (numeric >= 60) return numeric;
    }
  }
  return numeric;
};

/** Texts whose order by number is known, put into a copy of a table. */
const checkOrder = async (page) => {
  const ordered = [
    '-12.0', '+0.957', '< 0.001', '0.001', '1e-5', '32.7 %', '98/300', '4.832 × dense', '[4.1, 5.6]', '1.018', '–', 'word',
  ];
  const expected = [
    '-12.0', '1e-5', '< 0.001', '0.001', '98/300', '+0.957', '1.018', '[4.1, 5.6]', '4.832 × dense', '32.7 %', 'word', '–',
  ];
  const sorted = await page.evaluate((texts) => {
    const table = [...document.querySelectorAll('main table')].find((one) => one.tBodies[0].rows.length >= texts.length);
    if (table === undefined) return null;
    // The first rows get the texts; all others are left empty, and so come last.
    const button = table.querySelector('thead button');
    const at = button.closest('th').cellIndex;
    const rows = [...table.tBodies[0].rows];
    const kept = rows.map((row) => row.cells[at].innerHTML);
    rows.forEach((row, index) => { row.cells[at].textContent = texts[index] ?? ''; });
    button.click();
    const result = [...table.tBodies[0].rows].slice(0, texts.length).map((row) => row.cells[at].textContent);
    button.click();
    button.click();
    rows.forEach((row, index) => { row.cells[at].innerHTML = kept[index]; });
    return result;
  }, ordered);
  expect(sorted !== null, 'no table is long enough to try the order of numbers');
  if (sorted !== null) expect(same(sorted, expected), `numbers sort as ${JSON.stringify(sorted)}`);
};

/** The page opens with a picture, what is meant for one look does not scroll, contents are short. */
const checkOpening = async (page) => {
  const found = await page.evaluate(() => {
    const glances = [...document.querySelectorAll('.table[aria-label$="t a glance"]')];
    const figure = document.querySelector('main figure');
    const table = [...document.querySelectorAll('main .table')].find((box) => box.closest('details') === null);
    const follows = (a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
    return {
      glances: glances.length,
      wide: glances
        .filter((box) => box.scrollWidth > box.clientWidth)
        .map((box) => `${box.getAttribute('aria-label')}: ${box.scrollWidth} in ${box.clientWidth} px`),
      opens: !figure || !table || follows(figure, table),
      unfolded: document.querySelectorAll('nav .more[open]').length,
      deep: document.querySelectorAll('nav li li li').length,
    };
  });
  expect(found.wide.length === 0, `at a glance scrolls sideways: ${found.wide}`);
  expect(found.opens, 'a table stands before the first picture');
  expect(found.unfolded === 0 && found.deep === 0, `contents: ${JSON.stringify(found)}`);
  return found.glances;
};

const checkFilter = async (page) => {
  const input = await page.$('.tools input');
  if (input === null) return 0;
  const result = await input.evaluate((node) => {
    const tools = node.closest('.tools');
    const rows = [...tools.nextElementSibling.querySelectorAll('tbody tr')];
    // Of a very long table the first rows are shown until someone asks for all.
    tools.querySelector('button').click();
    const shown = () => rows.filter((row) => !row.hidden).length;
    const type = (text) => {
      node.value = text;
      node.dispatchEvent(new Event('input', { bubbles: true }));
    };
    const word = rows.at(-1).cells[0].textContent.trim().split(/\s+/)[0];
    const fields = (row) => [...row.cells].map((one) => one.textContent.toLowerCase());
    const holds = (row) => fields(row).some((field) => field.includes(word.toLowerCase()));
    const holding = rows.filter(holds).length;
    type(word);
    const some = shown();
    type('no row holds this');
    const none = shown();
    type('');
    return { all: rows.length, holding, some, none, again: shown() };
  });
  const { all, holding, some, none, again } = result;
  expect(some === holding && none === 0 && again === all, `the filter shows ${JSON.stringify(result)}`);
  return (await page.$$('.tools input')).length;
};

const checkLinks = async (page) => {
  const links = await page.$$eval('a[href]', (nodes) => nodes.map((node) => node.getAttribute('href')));
  const ids = new Set(await page.$$eval('[id]', (nodes) => nodes.map((node) => node.id)));
  for (const link of new Set(links)) {
    if (link.startsWith('#')) {
      expect(ids.has(link.slice(1)), `${link} leads nowhere`);
    } else {
      const target = resolve(dirname(html), decodeURIComponent(link));
      expect(!/^[a-z]+:/i.test(link) && existsSync(target), `no file at ${link}`);
    }
  }
  return links.length;
};

/** A link to a cell shows its row, though it is folded away or filtered out. */
const checkCells = async (page) => {
  const id = await page.evaluate(() => [...document.querySelectorAll('[id^="cell-"]')].at(-1)?.id ?? null);
  if (id === null) return 'none';
  await page.evaluate((hash) => { location.hash = hash; }, id);
  await page.waitForTimeout(200);
  const seen = await page.evaluate((own) => {
    const box = document.getElementById(own).getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
  }, id);
  expect(seen, `#${id} does not bring its row into view`);
  await page.evaluate(() => { location.hash = ''; scrollTo(0, 0); });
  return id;
};

const checkAxe = async (page, name) => {
  const loaded = await page.evaluate('typeof axe');
  if (loaded === 'undefined') await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, help, nodes } of violations) {
    const where = nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ');
    const text = `axe, ${name}: ${impact}: ${id}: ${help} (${nodes.length}: ${where})`;
    if (impact === 'serious' || impact === 'critical') faults.push(text);
    else console.log(`note: ${text}`);
  }
};

const checkNarrow = async (page, name) => {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(excess <= 0, `${name}: the page is ${excess} px too wide`);
  const scrolling = await page.evaluate(() =>
    [...document.querySelectorAll('body *')]
      .filter((node) => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
      .filter((node) => ['auto', 'scroll'].includes(getComputedStyle(node).overflowX))
      .filter((node) => !node.matches('.table[tabindex="0"][aria-label]'))
      .map((node) => `${node.tagName} ${node.className}`));
  expect(scrolling.length === 0, `${name}: scrolls sideways: ${scrolling}`);
};

try {
  // Light and wide: everything that is pressed.
  const { page, took } = await open({ viewport: WIDE, colorScheme: 'light' });
  const figures = await checkFigures(page);
  const listed = await page.$$eval('main img', (nodes) => nodes.length);
  expect(listed === 0, 'pictures are embedded, not loaded');
  await page.evaluate(() => scrollTo(0, 0));
  await screenshot(page, 'light');
  await screenshot(page, 'light-whole', true);
  const glances = await checkOpening(page);
  const links = await checkLinks(page);
  const sorted = await checkSorting(page);
  await checkOrder(page);
  const filters = await checkFilter(page);
  const cell = await checkCells(page);
  expect(sorted > 0, 'no column of numbers was sorted');

  // The button: dark, remembered, and back.
  const [light, lightInk] = [await background(page), await ink(page)];
  await page.click('#Theme');
  const [dark, darkInk] = [await background(page), await ink(page)];
  expect(dark !== light, `the button leaves the background at ${dark}`);
  expect(figures === 0 || darkInk !== lightInk, `the button leaves the pictures at ${darkInk}`);
  expect((await page.getAttribute('#Theme', 'aria-pressed')) === 'true', 'the button does not say that it is dark');
  await page.reload();
  expect((await background(page)) === dark, 'the theme is forgotten');
  await page.emulateMedia({ media: 'print' });
  expect((await background(page)) === light, 'a dark page prints dark');
  expect((await ink(page)) === lightInk, 'dark pictures print dark');
  await page.emulateMedia({ media: 'screen' });
  await page.click('#Theme');
  expect((await background(page)) === light, 'the button does not bring the light back');
  expect((await ink(page)) === lightInk, 'the button does not bring the pictures\' light back');
  await checkAxe(page, 'light, 1280');

  // Paper.
  const folded = await countClosed(page);
  await page.emulateMedia({ media: 'print' });
  const closed = await settle(page, 0);
  for (const selector of ['nav', '.bar', '.tools']) {
    const shown = await page.$$eval(selector, (nodes) => nodes.filter((node) => node.checkVisibility()).length);
    expect(shown === 0, `${selector} is printed`);
  }
  expect(closed === 0, `${closed} of ${folded} folds stay closed on paper`);
  // A4 across, without its margins.
  await page.setViewportSize({ width: 1031, height: 702 });
  const cut = await page.$$eval('.table', (boxes) =>
    boxes.filter((box) => box.querySelector('table').getBoundingClientRect().right > innerWidth + 1)
      .map((box) => box.getAttribute('aria-label')));
  expect(cut.length === 0, `on paper these tables are cut: ${cut}`);
  await screenshot(page, 'print');
  await page.emulateMedia({ media: 'screen' });
  const refolded = await settle(page, folded);
  expect(refolded === folded, `${refolded} of ${folded} folds close again after printing`);
  await page.emulateMedia({ media: null });
  await page.pdf({ path: join(folder, 'print.pdf'), preferCSSPageSize: true });

  // A reader's dark screen.
  const night = await open({ viewport: WIDE, colorScheme: 'dark' });
  expect((await background(night.page)) !== light, 'a dark screen shows a light page');
  expect(figures === 0 || (await ink(night.page)) !== lightInk, 'a dark screen shows light pictures');
  await screenshot(night.page, 'dark');
  await checkAxe(night.page, 'dark, 1280');

  // A telephone, light and dark.
  for (const colorScheme of ['light', 'dark']) {
    const small = await open({ viewport: NARROW, colorScheme });
    await checkNarrow(small.page, `${colorScheme}, 400`);
    await checkAxe(small.page, `${colorScheme}, 400`);
    await small.page.evaluate(() => scrollTo(0, 0));
    await screenshot(small.page, colorScheme === 'light' ? '400' : '400-dark', colorScheme === 'light');
  }
  console.log(
    `${figures} pictures, ${glances} tables at a glance, ${sorted} columns of numbers, ${filters} filters, ${links} links, last cell ${cell}; ` +
      `opened in ${took.toFixed(0)} ms`,
  );
} finally {
  await browser.close();
}
for (const fault of faults) console.error(`error: ${fault}`);
console.log(faults.length === 0 ? `${html}: sound` : `${html}: ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
