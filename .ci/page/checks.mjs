// Checks that apply to the page in every state.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export class Checks {
	constructor(browser, pictures) {
		this.browser = browser;
		this.pictures = pictures;
		this.failed = [];
		this.count = 0;
	}

	want(what, is) {
		this.count++;
		if (!is) {
			this.failed.push(what);
			console.log(`FAILED: ${what}`);
		}
	}

	// open opens a page in a context of its own, and records what must not happen: errors, and requests to other servers.
	async open(url, options = {}) {
		const context = await this.browser.newContext({viewport: {width: 1200, height: 800}, ...options});
		const page = await context.newPage();
		page.wrong = [];
		page.on('console', m => ['error', 'warning'].includes(m.type()) && page.wrong.push(m.text()));
		page.on('pageerror', err => page.wrong.push(String(err)));
		page.on('request', r => {
			if (!r.url().startsWith(url) && !r.url().startsWith('data:')) page.wrong.push(`it asks ${r.url()}`);
		});
		await page.goto(url);
		return page;
	}

	// says waits until the page says all of it, without a reload.
	async says(page, name, ...texts) {
		for (const text of texts) {
			const found = await page.waitForFunction(
				want => document.body.innerText.toLowerCase().includes(want.toLowerCase()), text, {timeout: 40000}).catch(() => null);
			this.want(`${name}: the page says “${text}”`, found);
		}
	}

	// everywhere checks a state in light and dark mode and on a phone: contrast, names and order (axe), width, keyboard, secrets.
	async everywhere(name, url, secrets = [], only = ['light', 'dark', 'phone']) {
		const looks = {
			light: {colorScheme: 'light'}, dark: {colorScheme: 'dark'},
			phone: {viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true, deviceScaleFactor: 2},
		};
		await Promise.all(only.map(async look => {
			const page = await this.open(url, looks[look]);
			await page.evaluate(() => [...document.querySelectorAll('details')].slice(0, 6).forEach(fold => { fold.open = true; }));
			const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
			this.want(`${name}, ${look}: no scrolling sideways (${wide} px)`, wide <= 0);
			await page.evaluate(axe);
			const found = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ['violations']}));
			this.want(`${name}, ${look}: accessible: ${found.violations.map(v => `${v.id} ${v.nodes[0].html}`).join('; ')}`,
				found.violations.length === 0);
			const html = await page.content();
			const shown = secrets.filter(secret => html.includes(secret));
			this.want(`${name}, ${look}: no personal data (${shown.length} of ${secrets.length})`, shown.length === 0);
			if (this.pictures) await page.screenshot({path: join(this.pictures, `${name}-${look}.png`), fullPage: true});
			this.want(`${name}, ${look}: nothing wrong: ${page.wrong.join('; ')}`, page.wrong.length === 0);
			await page.context().close();
		}));
	}

	// keyboard checks that the keyboard reaches every control, with a visible focus. A control is known by its place among
	// all of them, as a refresh replaces the elements.
	async keyboard(name, page) {
		await page.evaluate(() => document.activeElement?.blur());
		const reached = new Set();
		let all = 1, unmarked = 0;
		for (let i = 0; i < all + 3; i++) {
			await page.keyboard.press('Tab');
			const at = await page.evaluate(() => {
				const list = [...document.querySelectorAll('a[href], button, input, summary')].filter(e => e.checkVisibility());
				const e = document.activeElement, style = getComputedStyle(e);
				return {
					all: list.length, place: list.indexOf(e),
					marked: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
				};
			});
			all = at.all;
			if (at.place < 0) continue;
			reached.add(at.place);
			if (!at.marked) unmarked++;
		}
		this.want(`${name}: the keyboard reaches ${reached.size} of ${all}, ${unmarked} of them unmarked`,
			reached.size === all && unmarked === 0);
	}
}
