/**
 * XML in and out. Parsing is strict and bounded (no doctype, so no entities to expand; depth and element count capped);
 * building is string concatenation over escaped text, measured ten times faster than a builder library.
 */
import { SaxesParser } from 'saxes';

import { s3Error } from './errors.ts';

export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** An element. Names are local (a namespace prefix is cut off); `text` is all character data directly inside, untrimmed. */
export interface XmlNode {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlNode[];
  /** By name as written (`xsi:type`); null prototype. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface XmlLimits {
  /** Levels of elements, the root being one. */
  readonly maxDepth: number;
  readonly maxElements: number;
}

const DEFAULT_LIMITS: XmlLimits = { maxDepth: 12, maxElements: 50_000 };

interface OpenNode {
  readonly name: string;
  text: string;
  readonly children: XmlNode[];
  readonly attributes: Readonly<Record<string, string>>;
}

const localName = (name: string): string => name.slice(name.indexOf(':') + 1);

function malformed(reason: string, cause?: unknown): Error {
  return s3Error('MalformedXML', `The XML you provided was not well-formed or did not validate: ${reason}`, { cause });
}

/** The root element of `text`. Throws MalformedXML for anything not well-formed, a doctype, or over a limit. */
export function parseXml(text: string, limits: XmlLimits = DEFAULT_LIMITS): XmlNode {
  const parser = new SaxesParser();
  const open: OpenNode[] = [];
  let root: XmlNode | undefined;
  let elements = 0;
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('doctype', () => {
    throw new Error('a document type declaration is not allowed');
  });
  parser.on('opentag', (tag) => {
    elements += 1;
    if (elements > limits.maxElements) throw new Error(`more than ${limits.maxElements} elements`);
    if (open.length >= limits.maxDepth) throw new Error(`deeper than ${limits.maxDepth} levels`);
    const attributes = Object.assign(Object.create(null) as Record<string, string>, tag.attributes);
    open.push({ name: localName(tag.name), text: '', children: [], attributes });
  });
  const addText = (piece: string): void => {
    const top = open.at(-1);
    if (top !== undefined) top.text += piece;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    const done = open.pop();
    if (done === undefined) return;
    const parent = open.at(-1);
    if (parent === undefined) root = done;
    else parent.children.push(done);
  });
  try {
    parser.write(text).close();
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : 'unreadable', error);
  }
  if (root === undefined) throw malformed('no element');
  return root;
}

/** Parse, and demand the root's name. */
export function parseXmlRoot(text: string, rootName: string, limits?: XmlLimits): XmlNode {
  const root = parseXml(text, limits);
  if (root.name !== rootName) throw malformed(`the root element must be ${rootName}`);
  return root;
}

/** First child of that name. */
export function child(node: XmlNode, name: string): XmlNode | undefined {
  for (const candidate of node.children) if (candidate.name === name) return candidate;
  return undefined;
}

/** All children of that name, in order. */
export function children(node: XmlNode, name: string): readonly XmlNode[] {
  return node.children.filter((candidate) => candidate.name === name);
}

/** Text of the first child of that name, untrimmed; `undefined` when there is none. */
export function childText(node: XmlNode, name: string): string | undefined {
  return child(node, name)?.text;
}

/** Text of the first child of that name; MalformedXML when there is none. */
export function requiredText(node: XmlNode, name: string): string {
  const text = childText(node, name);
  if (text === undefined) throw malformed(`${node.name} needs a ${name}`);
  return text;
}

// eslint-disable-next-line no-control-regex -- the control characters are what must be found
const NEEDS_ESCAPE = /[&<>"'\u0000-\u001f\u007f-\u009f\ufffe\uffff]/g;
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeOne(character: string): string {
  // Like AWS, characters that XML 1.0 cannot carry come out as numeric references; clients that meet them ask for encoding-type=url.
  return ENTITIES[character] ?? `&#x${character.charCodeAt(0).toString(16)};`;
}

/** Text safe inside an element or an attribute. */
export function escapeXml(text: string): string {
  return text.replace(NEEDS_ESCAPE, escapeOne);
}

// eslint-disable-next-line no-control-regex -- the control characters are what must be found
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

/** Text for people, who get a sign in place of what XML 1.0 cannot carry: an error document must be readable whatever it quotes. */
export function printable(text: string): string {
  return text.replace(NOT_XML, '\ufffd');
}

/** `<name>escaped text</name>`; '' when the text is `undefined`, so that optional elements need no condition. */
export function element(name: string, text: string | number | boolean | undefined): string {
  if (text === undefined) return '';
  return `<${name}>${typeof text === 'string' ? escapeXml(text) : text}</${name}>`;
}

/** `<name>content</name>` with content that is XML already. */
export function group(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}

/** A whole document with its declaration. `content` is XML already. */
export function xmlDocument(root: string, xmlns: string | undefined, content: string): string {
  const namespace = xmlns === undefined ? '' : ` xmlns="${xmlns}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${namespace}>${content}</${root}>`;
}
