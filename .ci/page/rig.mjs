// The built programs, as a user starts them: a fake 2Chat, a NATS server, a connector.
import {spawn} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';

export const pause = ms => new Promise(done => setTimeout(done, ms));

// until waits for something to become true, and returns it.
export async function until(what, is, seconds = 40) {
	const end = Date.now() + seconds * 1000;
	for (;;) {
		const got = await is();
		if (got) return got;
		if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
		await pause(100);
	}
}

export function freePort() {
	return new Promise(done => {
		const server = createServer().listen(0, '127.0.0.1', () => {
			const {port} = server.address();
			server.close(() => done(port));
		});
	});
}

export class Rig {
	constructor(programs, folder) {
		this.programs = programs;
		this.folder = folder;
		this.running = new Set();
	}

	// start starts a program and collects its output.
	start(name, args) {
		const child = spawn(join(this.programs, name), args, {env: {PATH: process.env.PATH, HOME: process.env.HOME}});
		const self = {child, said: '', ended: new Promise(done => child.once('exit', done))};
		for (const stream of [child.stdout, child.stderr]) stream.on('data', text => { self.said += text; });
		this.running.add(self);
		self.ended.then(() => this.running.delete(self));
		return self;
	}

	async stop(self, signal = 'SIGKILL') {
		self.child.kill(signal);
		await self.ended;
	}

	async close() {
		await Promise.all([...this.running].map(self => this.stop(self)));
	}

	// fake starts a fake 2Chat, which `ask` controls.
	async fake(...args) {
		const fake = this.start('connector', ['fake', '--listen', '127.0.0.1:0', '--seed', '7', ...args]);
		fake.url = await until('the fake', () => fake.said.match(/http:\/\/127\.0\.0\.1:\d+/)?.[0]);
		fake.ask = async (path, body) => {
			const response = await fetch(`${fake.url}/fake/${path}`, {method: 'POST', body: body && JSON.stringify(body)});
			if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
		};
		fake.truth = async number => (await (await fetch(`${fake.url}/fake/truth?number=${encodeURIComponent(number)}`)).text())
			.split('\n').filter(Boolean).map(line => JSON.parse(line));
		return fake;
	}

	async nats(port, name) {
		const server = this.start('nats-server', ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(this.folder, name)]);
		await until('the NATS server', () => server.said.includes('Server is ready'));
		return server;
	}

	// connector runs the connector over some numbers of a fake, and returns it with the address of its page.
	async connector(name, fake, streams, {sink, start = 'beginning', poll = 'min_interval: 1s, max_interval: 1s'} = {}) {
		const folder = join(this.folder, name);
		mkdirSync(folder, {recursive: true});
		writeFileSync(join(folder, 'key'), 'any\n', {mode: 0o400});
		sink ??= `file: { path: ${join(folder, 'events.jsonl')} }`;
		writeFileSync(join(folder, 'config.yaml'), `twochat:
  base_url: ${fake.url}
  api_key_file: ${join(folder, 'key')}
  streams:
${streams.map(s => `    - { number: "${s.number}", name: ${s.name} }`).join('\n')}
start: ${start}
poll: { monthly_credits: 100000000, ${poll} }
admin: { listen: '127.0.0.1:0' }
log: { format: json }
sink: { ${sink} }
`);
		const connector = this.start('connector', ['run', '--config', join(folder, 'config.yaml')]);
		connector.page = await until(`the connector ${name}`, () => connector.said.match(/"admin":"([^"]+)"/)?.[1]);
		return connector;
	}
}

// numbers are a fake's numbers, with names.
export const numbers = (...names) => names.map((name, i) => ({
	name, number: `+1${555 + Math.floor(i / 100)}55501${String(i % 100).padStart(2, '0')}`,
}));
