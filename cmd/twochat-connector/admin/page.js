// The page asks for itself every few seconds and takes over what differs: focus, scrolling, open folds and the filter
// stay as they are. Where the server does not answer, it says so, and since when.
(() => {
	'use strict';
	const every = 3000, patience = 10000;
	const lost = document.getElementById('lost');
	let good = Date.now(), timer = 0, asked = 0;

	const keyOf = node => node.nodeType === 1 ? node.dataset.key || node.id : '';

	// update makes one node like another, of the same kind.
	function update(node, want) {
		if (node.nodeType !== 1) {
			if (node.nodeValue !== want.nodeValue) node.nodeValue = want.nodeValue;
			return;
		}
		if (node.nodeName === 'INPUT') return; // what is written there is the reader's
		for (const {name, value} of want.attributes) {
			if (name !== 'open' && node.getAttribute(name) !== value) node.setAttribute(name, value);
		}
		for (const {name} of [...node.attributes]) {
			if (name !== 'open' && !want.hasAttribute(name)) node.removeAttribute(name);
		}
		const keyed = new Map([...node.childNodes].filter(keyOf).map(child => [keyOf(child), child]));
		let at = node.firstChild;
		for (const child of [...want.childNodes]) {
			const key = keyOf(child);
			let same = key ? keyed.get(key) : at;
			while (!key && same && keyOf(same)) same = same.nextSibling;
			if (!same || same.nodeName !== child.nodeName) {
				node.insertBefore(document.importNode(child, true), at);
				continue;
			}
			if (same === at) at = at.nextSibling;
			else node.insertBefore(same, at);
			update(same, child);
		}
		while (at) {
			const next = at.nextSibling;
			at.remove();
			at = next;
		}
	}

	function take(html) {
		const fresh = new DOMParser().parseFromString(html, 'text/html');
		if (!fresh.getElementById('page')) throw new Error('it is another page');
		const focused = document.activeElement;
		for (const part of ['header', '#page', 'footer']) update(document.querySelector(part), fresh.querySelector(part));
		document.title = fresh.title;
		if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({preventScroll: true});
	}

	function silent(why) {
		const since = new Date(good).toISOString().slice(11, 19);
		if (lost.hidden) {
			lost.hidden = false;
			lost.textContent = `This instance does not answer (${why}). Its last good answer, which is shown below, is from ${since} UTC. It is asked again every few seconds.`;
		}
		document.body.classList.add('gone');
		document.title = '✗ no answer · twochat-connector';
	}

	async function refresh() {
		clearTimeout(timer);
		const mine = ++asked;
		try {
			const response = await fetch(location.href, {cache: 'no-store', signal: AbortSignal.timeout(patience)});
			const html = await response.text();
			if (mine !== asked) return; // a newer one is under way
			if (!response.ok) throw new Error(response.status === 401 ? 'it asks for its token: load the page anew' : 'HTTP ' + response.status);
			take(html);
			good = Date.now();
			lost.hidden = true;
			document.body.classList.remove('gone');
		} catch (err) {
			if (mine !== asked) return;
			silent(err instanceof TypeError ? 'no connection' : err.name === 'TimeoutError' ? 'no answer in time' : err.message);
		}
		timer = setTimeout(refresh, every);
	}

	let typed = 0;
	function filter(event) {
		const input = document.getElementById('filter');
		if (!input || event.target !== input && event.target !== input.form) return;
		event.type === 'submit' && event.preventDefault();
		clearTimeout(typed);
		typed = setTimeout(() => {
			const url = new URL(location.href);
			input.value ? url.searchParams.set('filter', input.value) : url.searchParams.delete('filter');
			history.replaceState(null, '', url);
			refresh();
		}, 150);
	}
	document.addEventListener('input', filter);
	document.addEventListener('submit', filter);
	document.addEventListener('visibilitychange', () => document.hidden ? clearTimeout(timer) : refresh());
	timer = setTimeout(refresh, every);
})();
