/**
 * Walks a tree of anything depth first, parents before their children, without recursion: file trees may be thousands of
 * levels deep, and the stack is not.
 *
 * @param childrenOf is asked when the walk goes on from a node, so it sees what was done about the node meanwhile
 * @example [...preorder('a', (at) => (at.length < 3 ? [`${at}1`, `${at}2`] : []))] // a a1 a11 a12 a2 a21 a22
 */
export function* preorder<Node>(root: Node, childrenOf: (node: Node) => Iterable<Node>): Generator<Node> {
  yield root;
  const open = [childrenOf(root)[Symbol.iterator]()];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const next = top.next();
    if (next.done === true) {
      open.pop();
      continue;
    }
    yield next.value;
    open.push(childrenOf(next.value)[Symbol.iterator]());
  }
}
