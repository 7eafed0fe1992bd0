package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// blocks are the blocks of a list or a map in a T. Only the implementation knows
// their keys and what they are read into.
type blocks[T any] interface {
	// named reports whether it is a map.
	named() bool
	// only is the key whose value may stand in place of a block; empty: there is none.
	only() string
	// keyNames are the keys of one block.
	keyNames() []string
	// read adds a block to into, which is called name if it is in a map; b is new, and body
	// has keys. A fault that belongs to no key is reported at the block's beginning.
	read(r *reader, b *block, name string, beginning, body *yaml.Node, into *T)
	// describe describes the keys of one block.
	describe() []description
	// settings are the keys of all blocks; at is the path to the list or map.
	settings(at keyPath, from *T) []Setting
	// changes are the keys that differ. Either may be nil: it has no blocks.
	changes(at keyPath, old, changed *T) []Change
}

// listOf is a list of blocks, which are read into what at returns, in the file's order.
func listOf[T, B any](at func(*T) *[]B, keys []key[B]) blocks[T] {
	return collection[T, B]{keys: keys, at: at}
}

// mapOf is a map of names to blocks, which are read into what at returns, in the file's
// order, and their names into what name returns.
func mapOf[T, B any](at func(*T) *[]B, name func(*B) *string, keys []key[B]) blocks[T] {
	return collection[T, B]{keys: keys, at: at, name: name}
}

// valuesOf is mapOf for blocks of one key, whose value may stand in place of the block.
func valuesOf[T, B any](at func(*T) *[]B, name func(*B) *string, keys []key[B]) blocks[T] {
	return collection[T, B]{keys: keys, at: at, name: name, values: true}
}

// A collection is a list of blocks, or a map if name is not nil.
type collection[T, B any] struct {
	keys []key[B]
	at   func(*T) *[]B
	name func(*B) *string
	// values: the value of the only key may stand in place of the block.
	values bool
}

func (c collection[T, B]) only() string {
	if c.values {
		return c.keys[0].name
	}
	return ""
}

func (c collection[T, B]) named() bool             { return c.name != nil }
func (c collection[T, B]) keyNames() []string      { return keyNames(c.keys) }
func (c collection[T, B]) describe() []description { return describe(c.keys) }

func (c collection[T, B]) read(r *reader, b *block, name string, beginning, body *yaml.Node, into *T) {
	var one B
	setDefaults(&one, c.keys)
	if c.named() {
		*c.name(&one) = name
	}
	readBlock(r, b, body, &one, c.keys, nowhere)
	missing(r, b, beginning, c.keys, "every entry")
	list := c.at(into)
	*list = append(*list, one)
}

// all are the blocks of a T, and the steps of their paths.
func (c collection[T, B]) all(from *T) (list []B, steps []string) {
	if from == nil {
		return nil, nil
	}
	list = *c.at(from)
	steps = make([]string, len(list))
	for i := range list {
		if steps[i] = place(i); c.named() {
			steps[i] = *c.name(&list[i])
		}
	}
	return list, steps
}

func (c collection[T, B]) settings(at keyPath, from *T) []Setting {
	var def B
	setDefaults(&def, c.keys)
	var found []Setting
	list, steps := c.all(from)
	for i := range list {
		found = append(found, settings(at.entry(steps[i]), c.keys, &list[i], &def)...)
	}
	return found
}

func (c collection[T, B]) changes(at keyPath, old, changed *T) []Change {
	before, steps := c.all(old)
	after, newSteps := c.all(changed)
	was := make(map[string]*B, len(before))
	for i := range before {
		was[steps[i]] = &before[i]
	}
	is := make(map[string]*B, len(after))
	for i, step := range newSteps {
		is[step] = &after[i]
		if was[step] == nil {
			steps = append(steps, step)
		}
	}
	var found []Change
	for _, step := range steps {
		here := changes(at.entry(step), c.keys, was[step], is[step])
		if len(here) == 0 && (was[step] == nil) != (is[step] == nil) {
			here = []Change{emptyBlock(at.entry(step), was[step] != nil)}
		}
		found = append(found, here...)
	}
	return found
}

// emptyBlock is the change when a block without values was added or removed.
func emptyBlock(at keyPath, gone bool) Change {
	if gone {
		return Change{Key: at.String(), Old: "{}"}
	}
	return Change{Key: at.String(), New: "{}"}
}

// A part is the blocks of a B, which is a part of a T.
type part[T, B any] struct {
	blocks[B]
	at func(*T) *B
}

func (p part[T, B]) of(t *T) *B {
	if t == nil {
		return nil
	}
	return p.at(t)
}

func (p part[T, B]) read(r *reader, b *block, name string, beginning, body *yaml.Node, into *T) {
	p.blocks.read(r, b, name, beginning, body, p.at(into))
}

func (p part[T, B]) settings(at keyPath, from *T) []Setting { return p.blocks.settings(at, p.of(from)) }

func (p part[T, B]) changes(at keyPath, old, changed *T) []Change {
	return p.blocks.changes(at, p.of(old), p.of(changed))
}

// readBlocks reads a list of blocks, or a map. It returns false if some of it could not
// be read.
func readBlocks[T any](r *reader, b *block, k *key[T], into *T, val *yaml.Node) bool {
	if !r.isPlain(val, b, k.name) {
		return false
	}
	want, expected, step := yaml.SequenceNode, "expected a list, each entry on a line that begins with '- ', with keys of its own: ", 1
	if k.blocks.named() {
		want, expected, step = yaml.MappingNode, "expected names, each with keys of its own indented below: ", 2
	}
	if val.Kind != want || len(val.Content) == 0 {
		r.fault(val, b, k.name, expected+strings.Join(k.blocks.keyNames(), ", "))
		return false
	}
	faults := len(r.errs)
	names := make(map[string]*yaml.Node)
	for i := 0; i+step <= len(val.Content); i += step {
		beginning, body, name := val.Content[i], val.Content[i+step-1], place(i)
		inner := &block{pool: b.pool, prefix: b.prefix + k.name + name + ".", entry: true, seen: make(map[string]seenKey)}
		if k.blocks.named() {
			if !r.isBlockName(beginning, b, k.name, names) {
				continue
			}
			name = beginning.Value
			inner.prefix = b.prefix + k.name + "." + strings.Trim(quoteKey(name), "'") + "."
		}
		r.blocks = append(r.blocks, inner)
		if only := k.blocks.only(); only != "" && body.Kind != yaml.MappingNode {
			body = &yaml.Node{Kind: yaml.MappingNode, Line: body.Line, Column: body.Column, Content: []*yaml.Node{
				{Kind: yaml.ScalarNode, Value: only, Line: body.Line, Column: body.Column}, body,
			}}
		}
		if r.hasKeys(body, inner, "", k.blocks.keyNames()) {
			k.blocks.read(r, inner, name, beginning, body, into)
		}
	}
	r.checkCount(b, k.name, k.limits, val, step)
	return len(r.errs) == faults
}

// entries are the names in a map of blocks; nil for a list.
func entries(named bool, val *yaml.Node) (names []*yaml.Node) {
	for i := 0; named && val.Kind == yaml.MappingNode && i+1 < len(val.Content); i += 2 {
		names = append(names, val.Content[i])
	}
	return names
}

// isBlockName checks a name in a map, and enters it into names.
func (r *reader) isBlockName(node *yaml.Node, b *block, key string, names map[string]*yaml.Node) bool {
	if !r.isPlain(node, b, key) {
		return false
	}
	if node.Kind != yaml.ScalarNode || node.Value == "" {
		r.fault(node, b, key, "expected a name")
		return false
	}
	if node.Value[0] == '[' { // as the places of a list do, in paths
		r.fault(node, b, key, "a name cannot begin with '['")
		return false
	}
	if first, twice := names[node.Value]; twice {
		r.fault(node, b, key+"."+strings.Trim(quoteKey(node.Value), "'"), "given twice; the first is on line "+lineOf(first))
		return false
	}
	names[node.Value] = node
	return true
}

// hasKeys reports whether body is a mapping of keys; names are those that it may have.
func (r *reader) hasKeys(body *yaml.Node, b *block, key string, names []string) bool {
	if !r.isPlain(body, b, key) {
		return false
	}
	if body.Kind != yaml.MappingNode || len(body.Content) == 0 {
		r.fault(body, b, key, "expected keys of its own: "+strings.Join(names, ", "))
		return false
	}
	return true
}

// checkCount finds too few or too many blocks in val, which has step nodes for each.
func (r *reader) checkCount(b *block, key string, l limits, val *yaml.Node, step int) {
	n := int64(len(val.Content) / step)
	if l == (limits{}) || n >= l.min && n <= l.max {
		return
	}
	at := val
	if n > l.max {
		at = val.Content[int(l.max)*step]
	}
	r.fault(at, b, key, "expected "+numberSpan(l)+" entries, found "+strconv.FormatInt(n, 10))
}
