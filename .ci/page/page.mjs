// page.mjs PROGRAMS FOLDER [PICTURES]: checks the status page in a real Chromium, in each state that a person on call may
// find, made with the built programs. With a folder for pictures it writes one of each state there.
import {mkdirSync} from 'node:fs';
import {chromium} from 'playwright-core';
import {Checks} from './checks.mjs';
import {Rig, freePort, numbers, until} from './rig.mjs';

const [programs, folder, pictures] = process.argv.slice(2);
for (const path of [folder, pictures]) path && mkdirSync(path, {recursive: true});
const rig = new Rig(programs, folder);
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
	args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync'],
});
const checks = new Checks(browser, pictures);
const secretsOf = async (fake, number) => (await fake.truth(number)).flatMap(m => {
	const item = JSON.parse(m.item);
	return [m.chat, item.remote_phone_number, item.message?.text].filter(s => typeof s === 'string' && s.length > 7);
});
const three = numbers('shop', 'support', 'returns');
const many = status => Array.from({length: 40}, () => ({kind: 'status', status}));

// asOf is the time of the page's answer.
const asOf = page => page.locator('header time').textContent();

// unfold opens a stream's fold, unless it is open because the stream was not live yet.
async function unfold(page, stream) {
	const fold = page.locator('summary', {hasText: stream});
	if (!await fold.evaluate(summary => summary.parentNode.open)) await fold.click();
	return fold;
}

const states = {
	// All is well. The keyboard works, the page refreshes in place, and says when nothing answers any more.
	async well() {
		const fake = await rig.fake('--numbers', '3', '--history', '60', '--rate', '0');
		const connector = await rig.connector('well', fake, three);
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'well', 'all is well', '3 streams', 'promise', 'last commit', 'sequence');
		checks.want('well: the title has its sign', (await page.title()).startsWith('✓'));
		await checks.everywhere('well', connector.page + '/', await secretsOf(fake, three[0].number));
		await checks.keyboard('well', page);
		const fold = await unfold(page, 'support');
		await fold.focus();
		await page.evaluate(() => scrollTo(0, 90));
		const before = await asOf(page);
		await fake.ask('append?count=3&number=' + encodeURIComponent(three[1].number));
		await until('two refreshes', async () => await asOf(page) !== before && await fold.textContent().then(t => t.includes('63')));
		const stays = await page.evaluate(() => [document.activeElement.textContent.includes('support'),
			document.activeElement.parentNode.open, scrollY === 90]);
		checks.want(`well: focus, fold and scrolling stay: ${stays}`, stays.every(Boolean));
		checks.want(`well: nothing wrong: ${page.wrong.join('; ')}`, page.wrong.length === 0);
		await rig.stop(connector);
		await checks.says(page, 'lost', 'this instance does not answer (no connection)', 'last good answer', 'UTC');
		checks.want('lost: the title says so', (await page.title()).includes('no answer'));
		if (pictures) await page.screenshot({path: `${pictures}/lost-light.png`, fullPage: true});
	},

	// A wrong key, then no credits: the page changes by itself, with a hint and the time of the next attempt.
	async needed() {
		const fake = await rig.fake('--numbers', '3', '--history', '60', '--rate', '0');
		const connector = await rig.connector('needed', fake, three);
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'needed', 'all is well');
		await fake.ask('next', many(401));
		await checks.says(page, 'wrong key', 'not as it should be: wrong key', 'put a key that may read this number',
			'next attempt in', 'TwochatConnectorPersonNeeded', 'live → wrong key', 'failed calls');
		checks.want('wrong key: the title counts it', (await page.title()).startsWith('✗ 1 problem'));
		await checks.everywhere('wrong_key', connector.page + '/');
		await checks.keyboard('wrong key', page);
		const without = await checks.open(connector.page + '/', {javaScriptEnabled: false});
		checks.want('without script: it says the same', (await without.locator('main').innerText()).includes('Put a key'));
		checks.want('without script: it refreshes', (await without.content()).includes('http-equiv="refresh"'));
		checks.want(`needed: nothing wrong: ${page.wrong.join('; ')}`, page.wrong.length === 0);
	},

	async credits() {
		const fake = await rig.fake('--numbers', '3', '--history', '60', '--rate', '0');
		const connector = await rig.connector('credits', fake, three.slice(0, 1));
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'credits', 'all is well');
		await fake.ask('next', many(402));
		await checks.says(page, 'credits', 'no credits', 'top up the account', 'next attempt in');
		await checks.everywhere('credits', connector.page + '/');
	},

	// The broker goes and comes back.
	async sink() {
		const port = await freePort();
		const broker = await rig.nats(port, 'nats');
		const fake = await rig.fake('--numbers', '3', '--history', '60', '--rate', '0');
		const connector = await rig.connector('sink', fake, three,
			{sink: `jetstream: { url: 'nats://127.0.0.1:${port}', create: true }`});
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'sink', 'all is well', `nats://127.0.0.1:${port}, stream WHATSAPP`);
		await rig.stop(broker);
		for (const {number} of three) await fake.ask('append?count=2&number=' + encodeURIComponent(number));
		await checks.says(page, 'sink down', 'the sink takes nothing', 'it takes nothing of 3 streams', 'next attempt in',
			'TwochatConnectorSinkDown');
		await checks.everywhere('sink_down', connector.page + '/');
		await rig.nats(port, 'nats');
		await checks.says(page, 'sink back', 'all is well', 'no sink →');
		checks.want(`sink: nothing wrong: ${page.wrong.join('; ')}`, page.wrong.length === 0);
	},

	// A long backlog, with its progress.
	async backlog() {
		const fake = await rig.fake('--numbers', '3', '--history', '30000', '--rate', '0');
		const connector = await rig.connector('backlog', fake, three.slice(0, 2), {poll: 'min_interval: 1s, max_interval: 1s, requests_per_minute: 1500'});
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'backlog', 'catching up,', '% done', 'left', 'of about');
		await checks.everywhere('backlog', connector.page + '/');
		checks.want(`backlog: nothing wrong: ${page.wrong.join('; ')}`, page.wrong.length === 0);
	},

	// Late, quarantined and empty messages are explained, and a list that shows nothing any more is a suspicion.
	async explained() {
		const fake = await rig.fake('--numbers', '3', '--history', '60', '--rate', '0');
		const connector = await rig.connector('explained', fake, three);
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'explained', 'all is well');
		const shop = 'number=' + encodeURIComponent(three[0].number);
		await fake.ask(`late?depth=3&${shop}`);
		await fake.ask(`poison?kind=no+id&${shop}`);
		await fake.ask(`skeleton?${shop}`);
		await fake.ask(`clear?number=${encodeURIComponent(three[2].number)}`);
		await checks.says(page, 'explained', 'suspect', 'the list shows nothing of what was delivered', '1 late', '1 quarantined');
		await unfold(page, 'shop');
		await checks.says(page, 'explained', 'marked late', 'quarantine list', 'empty in the log');
		await checks.everywhere('explained', connector.page + '/', await secretsOf(fake, three[0].number));
	},

	// A thousand streams: quiet ones are folded, the filter finds each, and the page stays small.
	async thousand() {
		const all = numbers(...Array.from({length: 1000}, (_, i) => `stream-${i}`));
		const fake = await rig.fake('--numbers', '1000', '--history', '1', '--rate', '0');
		const connector = await rig.connector('thousand', fake, all,
			{start: 'now', poll: 'min_interval: 60s, max_interval: 60s, requests_per_minute: 60000'});
		const page = await checks.open(connector.page + '/');
		await checks.says(page, 'thousand', '1,000 streams', '1,000 quiet streams');
		const size = (await page.content()).length;
		checks.want(`thousand: the page has ${size} bytes`, size < 400_000);
		const filter = page.getByLabel('Filter');
		await filter.fill('stream-777');
		await checks.says(page, 'thousand', '1 found', 'stream-777');
		const before = await asOf(page);
		await until('a refresh', async () => await asOf(page) !== before);
		checks.want('thousand: the filter stays', await filter.inputValue() === 'stream-777' &&
			await page.locator('.stream').count() === 1);
		await checks.keyboard('thousand', page);
		await filter.fill('');
		await checks.says(page, 'thousand', '1,000 quiet streams');
		await checks.everywhere('thousand', connector.page + '/', [], ['phone']);
		checks.want(`thousand: nothing wrong: ${page.wrong.join('; ')}`, page.wrong.length === 0);
		const without = await checks.open(connector.page + '/', {javaScriptEnabled: false});
		await without.locator('#filter').fill('stream-42');
		await without.keyboard.press('Enter');
		await without.waitForURL(/filter=stream-42/);
		checks.want('without script: the filter finds', (await without.locator('output').innerText()).includes('11 found'));
	},
};

const began = Date.now();
try {
	// Two at a time, for two cores.
	const queue = Object.entries(states).filter(([name]) => !process.env.STATE || process.env.STATE === name);
	await Promise.all([0, 1].map(async () => {
		for (let next; (next = queue.shift());) {
			const start = Date.now();
			await next[1]().catch(err => checks.want(`${next[0]}: ${err.stack}`, false));
			console.log(`${next[0]}: ${((Date.now() - start) / 1000).toFixed(1)} s`);
		}
	}));
} finally {
	await browser.close();
	await rig.close();
}
console.log(`${checks.count} checks in ${((Date.now() - began) / 1000).toFixed(0)} s, ${checks.failed.length} failed`);
process.exit(checks.failed.length ? 1 : 0);
