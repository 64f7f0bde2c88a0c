// A keyed renderer: what is on the page is changed where it stands, so that focus, scroll position, open details and
// typed text survive each poll. Data becomes text nodes and attributes only, never markup.

const SVG = "http://www.w3.org/2000/svg";
const HTML = "http://www.w3.org/1999/xhtml";

/**
 * Describe an element. Children are descriptions, texts, numbers or lists of them; null and false are left out.
 * `key` names it among its siblings, `on` holds listeners, `style` single style properties; `initial` holds properties
 * that belong to the person once they are set, such as what is typed or chosen.
 */
export function h(tag, properties, ...children) {
	return { tag, properties: properties || {}, children: flatten(children) };
}

/** Make the children of `parent` what is described. */
export function render(parent, ...descriptions) {
	const wanted = by_name(flatten(descriptions));
	const nodes = new Map();
	for (const node of Array.from(parent.childNodes)) {
		if (wanted.has(node.boardName)) nodes.set(node.boardName, node);
		else node.remove();
	}
	let place = parent.firstChild;
	for (const [name, description] of wanted) {
		const node = nodes.get(name) || create(description, parent, name);
		if (node === place) place = place.nextSibling;
		else parent.insertBefore(node, place);
		update(node, description);
	}
}

function flatten(children) {
	return children
		.flat(Infinity)
		.filter((child) => child !== null && child !== undefined && child !== false);
}

/** Descriptions by name; siblings of the same tag and key get names of their own. */
function by_name(descriptions) {
	const names = new Map();
	for (const description of descriptions) {
		const { tag = "#text", properties = {} } = Object(description);
		let name = `${tag} ${properties.key === undefined ? "" : properties.key}`;
		while (names.has(name)) name += "+";
		names.set(name, description);
	}
	return names;
}

function create(description, parent, name) {
	const { tag, properties } = description;
	const node = tag
		? document.createElementNS(tag === "svg" || parent.namespaceURI === SVG ? SVG : HTML, tag)
		: document.createTextNode("");
	node.boardName = name;
	if (tag) Object.assign(node, properties.initial);
	return node;
}

function update(node, description) {
	if (!description.tag) {
		if (node.data !== String(description)) node.data = String(description);
		return;
	}
	const { key, on = {}, style = {}, initial, ...attributes } = description.properties;
	update_attributes(node, attributes);
	update_listeners(node, on);
	for (const name of Object.keys(style)) node.style.setProperty(name, style[name]);
	render(node, ...description.children);
}

function update_attributes(node, attributes) {
	const before = node.boardAttributes || {};
	node.boardAttributes = attributes;
	for (const name of Object.keys({ ...before, ...attributes })) {
		const value = attributes[name];
		if (value === before[name]) continue;
		if (value === undefined || value === null || value === false) node.removeAttribute(name);
		else node.setAttribute(name, value === true ? "" : value);
	}
}

function update_listeners(node, listeners) {
	const before = node.boardListeners || {};
	node.boardListeners = { ...before, ...listeners };
	for (const type of Object.keys(listeners)) {
		if (!before[type]) node.addEventListener(type, (event) => node.boardListeners[type](event));
	}
}
