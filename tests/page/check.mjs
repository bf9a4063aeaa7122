// Looks at a page of `panther report --html` in headless Chromium: no console error, no request that leaves the page, no serious finding of
// axe-core, nothing wider than a phone of 360 px, in both themes.
//
//   node tests/page/check.mjs FOLDER [FOLDER-FOR-SCREENSHOTS]
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const [folder, shots] = process.argv.slice(2);
const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
if (!folder || !executablePath) {
  console.log(folder ? 'skipped: there is no Chromium' : 'name the folder of the page');
  process.exit(folder ? 0 : 2);
}

const served = [];
const server = createServer(async (request, response) => {
  const name = request.url === '/' ? 'index.html' : request.url.slice(1);
  served.push(name);
  try {
    const body = await readFile(join(folder, name));
    response.writeHead(200, { 'content-type': name.endsWith('.json') ? 'application/json' : 'text/html; charset=utf-8' });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${server.address().port}`;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await puppeteer.launch({ executablePath, headless: true, args: ['--no-sandbox'] });
const problems = [];

for (const theme of ['light', 'dark']) {
  for (const [device, width, height] of [['desktop', 1100, 900], ['phone', 360, 780]]) {
    const page = await browser.newPage();
    const where = `${theme}, ${device}`;
    page.on('console', (message) => ['error', 'warn'].includes(message.type()) && problems.push(`${where}: console: ${message.text()}`));
    page.on('pageerror', (error) => problems.push(`${where}: ${error.message}`));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !url.startsWith('data:')) problems.push(`${where}: a request to ${url}`);
    });
    await page.setViewport({ width, height, deviceScaleFactor: 1 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
    // The page's own policy lets no script run; axe has to.
    await page.setBypassCSP(true);
    await page.goto(`${origin}/`, { waitUntil: 'load' });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) problems.push(`${where}: it is ${wide} px wide`);
    if (shots) await page.screenshot({ path: join(shots, `status-${theme}-${device}.png`), ...(device === 'phone' ? {} : { clip: { x: 0, y: 0, width, height: 1480 } }) });
    // What is folded away is looked at, too.
    await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    for (const violation of found.violations) {
      const nodes = violation.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 120)} (${node.failureSummary?.replace(/\s+/g, ' ').slice(0, 160)})`);
      const line = `${where}: axe ${violation.impact} ${violation.id}: ${violation.help}: ${nodes.join(' | ')}`;
      if (['serious', 'critical'].includes(violation.impact)) problems.push(line);
      else console.log(`note: ${line}`);
    }
    if (found.passes.length < 10) problems.push(`${where}: axe looked at almost nothing`);
    await page.close();
  }
}
await browser.close();
server.close();
const others = served.filter((name) => name !== 'index.html');
if (others.length) problems.push(`it asked for ${others.join(', ')}`);
problems.forEach((problem) => console.error(problem));
console.log(problems.length ? `${problems.length} problems` : 'the page is well: light and dark, 1100 and 360 px');
process.exit(problems.length ? 1 : 0);
